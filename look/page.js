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
      if (name !== "open" && !wanted.hasAttribute(name)) present.removeAttribute(name);
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
const clock = (text) => new Date(text).toLocaleTimeString([], { hour12: false });
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function quorum(found) {
  if (!found) return ["bad", "unknown"];
  const spare = found.margin > 0 ? `${found.margin} may fail` : "none may fail";
  return [found.margin > 0 ? "good" : "bad", `${found.reachable} of ${found.voters} managers reachable, quorum ${found.needed}, ${spare}`];
}

function record(found) {
  if (!found) return ["", "no record is configured, or it is unknown"];
  if (!found.addresses) return ["bad", `${found.name}: unknown`];
  const shown = found.addresses.map((address) => `${address} (${found.leads_to?.[address] || "no node"})`);
  const differs = found.wanted && found.wanted.slice().sort().join() !== found.addresses.slice().sort().join();
  const text = `${found.name} → ${shown.join(", ") || "nothing"}`;
  return differs ? ["busy", `${text}; should be ${found.wanted.join(", ")}`] : ["good", text];
}

function now(moment) {
  const rows = [
    ["Quorum", ...quorum(moment.quorum)],
    ["DNS record", ...record(moment.record)],
    ["Next", moment.planned.length ? "busy" : "", moment.planned.join("; ") || "nothing to do"],
  ];
  if (moment.awaited.length) rows.push(["Waiting for", "busy", moment.awaited.join("; ")]);
  if (moment.refused.length) rows.push(["Refused", "bad", moment.refused.join(" ")]);
  if (moment.notes.length) rows.push(["Needs attention", "busy", moment.notes.join(" ")]);
  if (moment.failures.length) rows.push(["Unknown", "bad", moment.failures.join(" ")]);
  return rows.flatMap(([name, state, text]) => [element("dt", {}, name), element("dd", { class: state || null }, text)]);
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

function details(row) {
  const facts = [
    ["node", row.node], ["state", row.lifecycle || row.state], ["private", row.private_address], ["public", row.public_address],
    ["IPv6", row.ipv6_address], ["type", row.kind], ["image", row.image], ["template", row.template], ["engine", row.engine],
    ["launched", row.launched],
  ].filter(([, value]) => value);
  return element("details", {}, element("summary", {}, "More", element("span", { class: "unseen" }, ` of ${row.instance || row.node}`)),
    element("dl", {}, facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))])));
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
      element("h4", {}, row.instance || row.node),
      element("ul", { class: "badges", "aria-label": "State" }, badges.map(([kind, text]) => element("li", { class: kind || null }, text))),
      row.going ? steps(row.going) : null,
      waits.length ? element("p", { class: "busy" }, `waiting for ${waits.join("; ")}`) : null,
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
  return (moment.services || []).map((service) => {
    const words = [
      service.starting ? `${service.starting} starting` : "", service.stopping ? `${service.stopping} stopping` : "",
      service.pending ? `${service.pending} pending: ${service.why_pending || "no node yet"}` : "",
      service.updating ? "updating" : "",
    ].filter(Boolean).join(", ");
    const whole = service.running >= service.wanted;
    return element("tr", { "data-key": service.name },
      element("th", { scope: "row" }, service.name),
      element("td", { class: whole ? "good" : "bad" }, `${service.running} of ${service.wanted}`),
      element("td", {}, words || (whole ? "running" : "too few tasks running")));
  });
}

function done(moment) {
  const latest = moment.last_actions.slice(-12).reverse();
  if (!latest.length) return [element("li", {}, "no actions yet")];
  return latest.map((act) => element("li", {}, element("time", { datetime: act.at }, clock(act.at)), `${act.action}: ${act.resource}`));
}

// What screen readers announce: the quorum, and the stage or state of each node. Nothing that changes every second.
function facts(moment) {
  const found = new Map([["quorum", `Quorum: ${quorum(moment.quorum)[1]}.`]]);
  for (const row of moment.members) {
    const words = row.going ? STEPS.find(([stage]) => stage === row.going.stage)?.[1] || row.going.why : standing(row)[1];
    found.set(row.instance || row.node, `${row.instance || row.node}: ${words}.`);
  }
  return found;
}

let before = null, updatedAt = 0, lost = "Connecting";
const toSay = new Map();

function announce(moment) {
  const present = facts(moment);
  if (before) {
    for (const [key, sentence] of present) if (before.get(key) !== sentence) toSay.set(key, sentence);
    for (const key of before.keys()) if (!present.has(key)) toSay.set(key, `${key} is gone.`);
  }
  before = present;
}

function showLink(moment) {
  const silent = updatedAt && Date.now() - updatedAt > SILENCE;
  const state = lost || silent ? "lost" : "live";
  const teller = moment?.members.find((row) => row.node === moment.told_by)?.instance;
  const words = state === "live" ? `Live, from ${teller || "a manager"}` : lost || "No updates";
  const link = place("link");
  if (latest && link.dataset.state !== state) toSay.set("link", state === "live" ? "Live." : `Not live: ${words}.`);
  if (link.textContent !== words) link.textContent = words;
  link.dataset.state = state;
}

let latest = null;

function draw(moment) {
  document.title = `${moment.cluster}: swarm`;
  place("cluster").textContent = `${moment.cluster} in ${moment.region}`;
  fill("now", now(moment));
  fill("zones", zones(moment));
  fill("services", services(moment));
  fill("done", done(moment));
  announce(moment);
  latest = moment;
}

const moments = new EventSource("/moments");
moments.onmessage = (event) => {
  const { lost: why, moment } = JSON.parse(event.data);
  lost = why;
  updatedAt = Date.now();
  if (moment && moment.at !== latest?.at) draw(moment);
  showLink(latest);
};
// The browser reconnects by itself.
moments.onerror = () => {
  lost = "The page's server does not answer";
  showLink(latest);
};
setInterval(() => showLink(latest), 1000);
setInterval(() => {
  if (!toSay.size) return;
  place("said").textContent = [...toSay.values()].join(" ");
  toSay.clear();
}, HUSH);
