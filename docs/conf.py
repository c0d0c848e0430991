"""How Sphinx makes the site, of the pages beside this file and of what antsibull-docs writes of modules and roles.

tools/docs puts all of it into one folder: README.md as index.md, the modules' pages in collections/.
"""

import re
from pathlib import Path

import yaml
from docutils import nodes

project = "swarm.aws"
project_copyright = "the swarm.aws maintainers"
version = release = yaml.safe_load((Path(__file__).parent / "galaxy.yml").read_text())["version"]
extensions = ["sphinx_antsibull_ext", "myst_parser"]
html_theme = "sphinx_ansible_theme"
html_title = f"swarm.aws {release}"
# The anchors that GitHub makes, so that a link into a page works in both places.
myst_heading_anchors = 3
nitpicky = True

# What antsibull-docs refers to in Ansible's own documentation, of which no index is at hand where there is no internet.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
ANSIBLES_OWN = {
    "ansible_collections.ansible.builtin.set_stats_module": "collections/ansible/builtin/set_stats_module.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "callback_plugins": "plugins/callback.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
# The README's section whose tables name the pages, by kind.
PAGES = "\n## More\n"
MODULES = "Reference"


def setup(app):
    """Connect what is below to Sphinx's events."""
    app.connect("source-read", for_the_site)
    app.connect("missing-reference", to_ansibles_own)


def for_the_site(app, name, source):
    """Have links lead to where things are on the site."""
    # Where a reader of the checkout finds a module's source, one of the site finds its page.
    source[0] = re.sub(r"\(\.\./plugins/modules/(\w+)\.py\)", r"(collections/\1_module.rst)", source[0])
    if name == "index":
        source[0] = navigation(re.sub(r"\[([A-Z]+(\.md)?)\]\(\1\)", r"\1", source[0].replace("](docs/", "](")))


def navigation(readme):
    """Add to each table of pages a hidden list of the same pages, from which Sphinx makes the navigation."""
    head, tables = readme.split(PAGES)
    for title, table in re.findall(r"^### (.+)\n((?:\n|\|.*\n)+)", tables, flags=re.MULTILINE):
        pages = re.findall(r"\]\(([\w/-]+)\.md\)", table) + (["collections/index"] if title == MODULES else [])
        toctree = "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"])
        tables = tables.replace(table, f"{table}{toctree}\n\n")
    return head + PAGES + tables


def to_ansibles_own(app, env, reference, content):
    """Resolve a reference to Ansible's documentation, or leave it to Sphinx to warn of it."""
    target = reference["reftarget"]
    variable = f"{ANSIBLES_OWN['ansible_configuration_settings']}#envvar-{target}"
    path = variable if reference.get("reftype") == "envvar" else ANSIBLES_OWN.get(target)
    return path and nodes.reference("", "", content, refuri=ANSIBLE + path, internal=False)
