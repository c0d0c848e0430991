// Draws each moment and changes only the parts of the page that differ, so that focus and open details stay.

const STEPS = [
  ["requested", "requested"],
  ["begun", "cordoned"],
  ["ready", "draining"],
  ["drained", "drained"],
  ["removed", "removed"],
];
// Milliseconds between two announcements to screen readers, and without an update until the page is not live.
const HUSH = 3000, SILENCE = 5000;

const place = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// Makes the children of `old` equal to those of `fresh`. Children with a data-key keep their element.
function become(old, fresh) {
  const keyed = new Map([...old.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]));
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.dataset?.key && keyed.get(wanted.dataset.key);
    if (known && known !== at) old.insertBefore(known, at);
    const present = known || (at && !(at.dataset?.key) && at.nodeName === wanted.nodeName ? at : null);
    if (!present) {
      old.insertBefore(wanted, at);
      continue;
    }
    if (present === at) at = at.nextSibling;
    if (present.nodeType === Node.TEXT_NODE) {
      if (present.data !== wanted.data) present.data = wanted.data;
      continue;
    }
    for (const { name } of [...present.attributes]) {
      if (name !== "open" && name !== "data-copied" && !wanted.hasAttribute(name)) present.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (present.getAttribute(name) !== value) present.setAttribute(name, value);
    }
    become(present, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const fill = (id, ...children) => become(place(id), element("div", {}, ...children));
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

// Milliseconds by which this machine's clock is ahead of AWS's time.
let ahead = 0;

function age(text) {
  const seconds = Math.max(0, Math.round((Date.now() - ahead - Date.parse(text)) / 1000));
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => seconds >= size) || [1, "s"];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

const ago = (text) => element("time", { datetime: text, title: new Date(text).toLocaleString() }, age(text));
const bytes = (number) => (number < 1e9 ? `${Math.round(number / 2 ** 20)} MiB` : `${(number / 2 ** 30).toFixed(1)} GiB`);

// Text whose instance IDs are not broken over lines.
const marked = (text) => text.split(/(\bi-[0-9a-f]+)/).map((part, at) => (at % 2 ? element("span", { class: "id" }, part) : part));

// An ID or an address, with a button that copies it.
function copyable(text, shown = text) {
  return element("span", { class: "copyable", "data-key": text }, element("code", {}, shown),
    element("button", { type: "button", "data-copy": text, "aria-label": `Copy ${text}`, title: "Copy" }));
}

// A link to the AWS console, unless the cluster is on another endpoint.
function consoleLink(moment, anchor, name) {
  if (!moment.console) return null;
  const href = `${moment.console}/ec2/home?region=${moment.region}#${anchor}`;
  return element("a", { class: "console", href, target: "_blank", rel: "noopener", "aria-label": `${name} in the AWS console`, title: "AWS console" });
}

function table(titles, rows) {
  return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": titles[0] }, element("table", {},
    element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, rows)));
}

function quorum(found) {
  if (!found) return ["bad", "unknown"];
  const spare = found.margin > 0 ? `${found.margin} may fail` : "none may fail";
  return [found.margin > 0 ? "good" : "bad", `${found.reachable} of ${found.voters} managers reachable, quorum ${found.needed}, ${spare}`];
}

// A row for each node and for each address without a node: whether the record has it, or why not.
function record(moment) {
  const found = moment.record;
  if (!found) return element("p", {}, "No record is configured, or it is unknown.");
  const at = Object.groupBy(Object.entries(found.leads_to), ([, instance]) => instance || "");
  const addresses = (name) => (at[name] || []).map(([address]) => address);
  const leaves = (list) => found.wanted && !list.some((address) => found.wanted.includes(address));
  const row = (name, list, state, words) => element("li", { "data-key": name || "none" },
    element("code", {}, name || "no node"),
    element("span", { class: state || null }, words),
    list.length ? element("span", { class: "addresses" }, list.map((address) => copyable(address))) : null);
  const rows = moment.members.filter((member) => member.instance && (member.published || member.omitted)).map((member) => {
    const list = addresses(member.instance);
    if (!member.published) return row(member.instance, list, member.omitted === "it will be added" ? "busy" : "", `omitted: ${member.omitted}`);
    return leaves(list) ? row(member.instance, list, "busy", "published, will be withdrawn") : row(member.instance, list, "good", "published");
  });
  if (at[""]) rows.push(row("", addresses(""), "bad", "published, but at no node"));
  const ttl = found.ttl || found.ipv6_ttl;
  return [
    element("p", {}, copyable(found.name), ttl ? ` TTL ${ttl} s` : "", found.addresses ? null : element("span", { class: "bad" }, " unknown")),
    element("ul", { class: "rows" }, rows),
  ];
}

function now(moment) {
  const rows = [
    ["Quorum", ...quorum(moment.quorum)],
    ["Next", moment.planned.length ? "busy" : "", moment.planned.join("; ") || "nothing to do"],
  ];
  if (moment.awaited.length) rows.push(["Waiting for", "busy", moment.awaited.join("; ")]);
  if (moment.refused.length) rows.push(["Refused", "bad", moment.refused.join(" ")]);
  if (moment.notes.length) rows.push(["Needs attention", "busy", moment.notes.join(" ")]);
  if (moment.failures.length) rows.push(["Unknown", "bad", moment.failures.join(" ")]);
  return rows.flatMap(([name, state, text]) => [element("dt", {}, name), element("dd", { class: state || null }, marked(text))]);
}

function standing(row) {
  if (row.going) return ["busy", ["requested", "terminating"].includes(row.going.why) ? "being removed" : `being removed: ${row.going.why}`];
  if (row.state === "gone") return ["bad", "its instance no longer exists"];
  if (!row.node && (row.lifecycle || "").startsWith("Warmed:")) return ["good", "in the warm pool"];
  if (!row.node) return ["busy", row.instance ? "joining" : "unknown"];
  if (row.node_state !== "ready") return ["bad", row.node_state];
  if (row.availability !== "active") return ["busy", row.availability];
  return ["good", "ready"];
}

function steps(going) {
  const at = STEPS.findIndex(([stage]) => stage === going.stage);
  return element("ol", { class: "steps", "aria-label": "Removal progress" }, STEPS.map(([stage, words], index) =>
    element("li", { "data-stage": stage, class: index < at ? "past" : null, "aria-current": index === at ? "step" : null },
      words, index < at ? element("span", { class: "unseen" }, " (done)") : null)));
}

function tasks(row) {
  const shown = row.runs.flatMap((run) => ["running", "starting", "stopping"].filter((kind) => run[kind]).map((kind) => {
    const many = run[kind] > 1 ? ` × ${run[kind]}` : "";
    return element("li", { class: kind, "data-key": `${run.service} ${kind}` }, `${run.service}${many}${kind === "running" ? "" : ` ${kind}`}`);
  }));
  return shown.length ? element("ul", { class: "tasks", "aria-label": "Tasks" }, shown) : element("p", {}, "no tasks");
}

function capacity(found) {
  const parts = [["CPU", found.cpus, found.cpus_reserved, String], ["Memory", found.memory, found.memory_reserved, bytes]]
    .filter(([, whole]) => whole);
  return element("div", { class: "capacity" }, parts.flatMap(([name, whole, reserved, shown]) => [
    element("span", {}, name),
    element("meter", { max: whole, value: reserved, "aria-label": `${name} reserved` }),
    element("span", {}, `${reserved ? shown(reserved) : 0} of ${shown(whole)} reserved`),
  ]));
}

function details(row) {
  const copied = (value) => value && copyable(value);
  const facts = [
    ["node", copied(row.node)], ["state", row.lifecycle || row.state], ["private", copied(row.private_address)],
    ["public", copied(row.public_address)], ["IPv6", copied(row.ipv6_address)], ["type", row.kind],
    ["image", copied(row.image)], ["template", row.template], ["engine", row.engine], ["launched", row.launched && ago(row.launched)],
  ].filter(([, value]) => value);
  return element("details", {}, element("summary", {}, "More", element("span", { class: "unseen" }, ` of ${row.instance || row.node}`)),
    element("dl", {}, facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
}

function node(row, moment) {
  const [state, words] = standing(row);
  const badges = [
    [state, words],
    ["", row.role || row.group || "no role"],
    row.raft && row.raft !== "reachable" ? [row.raft === "leader" ? "good" : "bad", row.raft] : null,
    row.published ? ["good", "in DNS"] : null,
    moment.outdated.includes(row.instance) ? ["busy", "outdated"] : null,
  ].filter(Boolean);
  const waits = row.going ? [...row.going.waits, row.going.held].filter(Boolean) : [];
  return element("li", { "data-key": row.instance || row.node },
    element("article", { "data-state": state, "data-instance": row.instance, "aria-label": row.instance || row.node },
      element("h4", {}, copyable(row.instance || row.node),
        row.instance ? consoleLink(moment, `InstanceDetails:instanceId=${row.instance}`, row.instance) : null),
      element("ul", { class: "badges", "aria-label": "State" }, badges.map(([kind, text]) => element("li", { class: kind || null }, text))),
      row.going ? steps(row.going) : null,
      waits.length ? element("p", { class: "busy" }, marked(`waiting for ${waits.join("; ")}`)) : null,
      row.capacity ? capacity(row.capacity) : null,
      tasks(row),
      details(row)));
}

function zones(moment) {
  const byZone = new Map();
  for (const row of moment.members) {
    const zone = row.zone || "no zone";
    byZone.set(zone, [...(byZone.get(zone) || []), row]);
  }
  const order = (row) => `${row.role === "manager" ? 0 : 1}${row.launched || ""}${row.instance}`;
  return [...byZone].sort(([zone], [other]) => zone.localeCompare(other)).map(([zone, rows]) =>
    element("section", { class: "zone", "data-key": zone, "aria-label": `Zone ${zone}` },
      element("h3", {}, `${zone}: ${count(rows.length, "instance")}`),
      element("ul", { class: "nodes" }, rows.sort((row, other) => order(row).localeCompare(order(other))).map((row) => node(row, moment)))));
}

function services(moment) {
  if (!moment.services?.length) return element("p", {}, moment.services ? "No services." : "Unknown.");
  return table(["Service", "Tasks", "State"], moment.services.map((service) => {
    const words = [
      service.starting ? `${service.starting} starting` : "", service.stopping ? `${service.stopping} stopping` : "",
      service.pending ? `${service.pending} pending: ${service.why_pending || "no node yet"}` : "",
      service.updating ? "updating" : "",
    ].filter(Boolean).join(", ");
    const whole = service.running >= service.wanted, comes = service.starting || service.updating;
    return element("tr", { "data-key": service.name },
      element("th", { scope: "row" }, service.name),
      element("td", { class: whole ? "good" : comes ? "busy" : "bad" }, `${service.running} of ${service.wanted}`),
      element("td", {}, words || (whole ? "running" : "too few tasks running")));
  }));
}

function groups(moment) {
  return table(["Group", "In service", "Limits", "State"], moment.groups.map((group) => element("tr", { "data-key": group.scaling_group },
    element("th", { scope: "row" }, group.group, " ", consoleLink(moment, `AutoScalingGroupDetails:id=${group.scaling_group}`, group.scaling_group)),
    element("td", { class: group.in_service >= group.desired ? "good" : "busy" }, `${group.in_service} of ${group.desired}`),
    element("td", {}, `${group.min} to ${group.max}`),
    element("td", { class: group.launch_failure ? "bad" : null }, group.launch_failure ? "launches fail" : `template version ${group.template}`))));
}

function done(moment) {
  const latest = moment.last_actions.slice(-12).reverse();
  if (!latest.length) return [element("li", {}, "no actions yet")];
  // An agent of an earlier version gives no sentence.
  return latest.map((act) => element("li", {}, ago(act.at),
    element("span", {}, marked(act.sentence || `${act.action}: ${act.resource}`))));
}

// What screen readers announce: the quorum, and the stage or state of each node. Nothing that changes every second.
function facts(moment) {
  const found = new Map([
    ["health", `${moment.health.sentence.split(":")[0]}.`],
    ["quorum", `Quorum: ${quorum(moment.quorum)[1]}.`],
  ]);
  for (const row of moment.members) {
    const words = row.going ? STEPS.find(([stage]) => stage === row.going.stage)?.[1] || row.going.why : standing(row)[1];
    found.set(row.instance || row.node, `${row.instance || row.node}: ${words}.`);
  }
  return found;
}

let before = null, updatedAt = 0, lost = "Connecting", connecting = true;
const toSay = new Map();

function announce(moment) {
  const present = facts(moment);
  if (before) {
    for (const [key, sentence] of present) if (before.get(key) !== sentence) toSay.set(key, sentence);
    for (const key of before.keys()) if (!present.has(key)) toSay.set(key, `${key} is gone.`);
  }
  before = present;
}

function say(place, words) {
  if (place.textContent !== words) place.textContent = words;
}

function showLink(moment) {
  const silent = updatedAt && Date.now() - updatedAt > SILENCE;
  const state = connecting ? "connecting" : lost || silent ? "lost" : "live";
  const teller = moment?.members.find((row) => row.node === moment.told_by)?.instance;
  const words = state === "live" ? `Live, from ${teller || "a manager"}` : lost || "No updates";
  const link = place("link");
  if (latest && link.dataset.state !== state) toSay.set("link", state === "live" ? "Live." : `Not live: ${words}.`);
  say(link, words);
  link.dataset.state = state;
  place("health").dataset.state = state === "live" ? moment.health.state : "unknown";
  const old = state === "live" || !moment ? "" : `Not live, as of ${age(moment.at)}. `;
  fill("health", marked(moment ? old + moment.health.sentence : state === "lost" ? "No data from the cluster" : "Connecting to the cluster"));
  for (const time of document.querySelectorAll("time")) say(time, age(time.dateTime));
}

let latest = null;

function draw(moment) {
  document.title = `${moment.cluster}: swarm`;
  place("cluster").textContent = `${moment.cluster} in ${moment.region}`;
  ahead = Date.now() - Date.parse(moment.at);
  place("all").hidden = false;
  fill("now", now(moment));
  fill("zones", zones(moment));
  fill("record", record(moment));
  fill("services", services(moment));
  fill("groups", groups(moment));
  fill("done", done(moment));
  announce(moment);
  latest = moment;
}

const moments = new EventSource("/moments");
moments.onmessage = (event) => {
  const { moment, ...link } = JSON.parse(event.data);
  ({ lost, connecting } = link);
  updatedAt = Date.now();
  if (moment) moment.health ??= { state: "unknown", sentence: `Unknown: the agent ${moment.version} is older than this page, run site.yml` };
  if (moment && moment.at !== latest?.at) draw(moment);
  showLink(latest);
};
// The browser reconnects by itself.
moments.onerror = () => {
  [lost, connecting] = ["The page's server does not answer", false];
  showLink(latest);
};
setInterval(() => showLink(latest), 1000);
setInterval(() => {
  if (!toSay.size) return;
  place("said").textContent = [...toSay.values()].join(" ");
  toSay.clear();
}, HUSH);
document.addEventListener("click", async ({ target }) => {
  if (!target.dataset.copy) return;
  await navigator.clipboard.writeText(target.dataset.copy);
  toSay.set("copied", `Copied ${target.dataset.copy}.`);
  target.dataset.copied = "";
  setTimeout(() => delete target.dataset.copied, 1500);
});
