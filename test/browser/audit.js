// What is wrong with the page for somebody who cannot see it, sees it badly, or uses no mouse; as a list of sentences.
(() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility === "visible";
  const named = (e) => `<${e.localName}${e.id ? "#" + e.id : ""}> "${(e.textContent || e.value || "").trim().replace(/\s+/g, " ").slice(0, 40)}"`;

  if (all("h1").filter(seen).length !== 1) wrong.push(`${all("h1").length} headings of the first rank`);
  if (all("main").length !== 1) wrong.push("no main, or several");
  if (!document.title.trim()) wrong.push("no title");
  if (!document.documentElement.lang) wrong.push("no language");
  const ids = all("[id]").map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`two elements with the id ${id}`);
  for (const e of all("[aria-describedby],[aria-labelledby]")) {
    for (const id of `${e.getAttribute("aria-describedby") || ""} ${e.getAttribute("aria-labelledby") || ""}`.trim().split(/\s+/)) {
      if (!document.getElementById(id)) wrong.push(`${named(e)} is described by ${id}, which is not there`);
    }
  }
  for (const e of all("input:not([type=hidden]),select,textarea").filter(seen)) {
    if (![...(e.labels || [])].some((l) => l.textContent.trim())) wrong.push(`${named(e)} ${e.name} has no label`);
  }
  for (const e of all("button,a[href]").filter(seen)) {
    if (!e.textContent.trim() && !e.getAttribute("aria-label")) wrong.push(`${named(e)} has no name`);
  }
  for (const e of all("svg,img").filter(seen)) {
    if (e.getAttribute("aria-hidden") !== "true" && e.getAttribute("alt") === null) wrong.push(`${named(e)} is a picture without words`);
  }
  const room = document.documentElement.clientWidth, wide = document.documentElement.scrollWidth;
  if (wide > room) wrong.push(`${wide} wide in a window of ${room}`);
  for (const e of all("body *").filter(seen)) {
    const r = e.getBoundingClientRect();
    if (r.width && (r.left < -1 || r.right > room + 1)) wrong.push(`${named(e)} sticks out: ${r.left} to ${r.right} of ${room}`);
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth && getComputedStyle(e).display !== "inline" && !e.closest("svg") && e.localName !== "input") {
      wrong.push(`${named(e)} overflows: ${e.scrollWidth} in ${e.clientWidth}`);
    }
  }
  // A checkbox is as big as its label, which can be tapped as well.
  for (const e of all("button,a[href],input:not([type=hidden])").filter(seen)) {
    const target = e.type === "checkbox" ? e.labels[0] || e : e;
    const r = target.getBoundingClientRect();
    if (r.height < 44 - .5 || r.width < 44 - .5) wrong.push(`${named(e)} is ${r.width.toFixed(0)} x ${r.height.toFixed(0)}: a finger needs 44`);
  }

  // Contrast as WCAG 2.2 defines it (SC 1.4.3), of every text with what lies behind it.
  const channels = (c) => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (top, below) => {
    const a = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a));
  };
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  const behind = (e) => (e ? over(channels(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : canvas);
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => ((v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + .05) / (y + .05);
  };
  for (const e of all("body *").filter(seen)) {
    const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || (e.localName === "input" && e.type !== "checkbox");
    if (!text || e.closest("svg") || e.disabled) continue;
    const ground = behind(e);
    const ratio = contrast(over(channels(getComputedStyle(e).color), ground), ground);
    if (ratio < 4.5) wrong.push(`${named(e)} has a contrast of ${ratio.toFixed(2)}`);
  }
  // What can be pressed or filled in must be told from its ground (SC 1.4.11).
  for (const e of all("input:not([type=hidden]):not([type=checkbox])").filter(seen)) {
    const ratio = contrast(channels(getComputedStyle(e).borderTopColor), behind(e.parentElement));
    if (ratio < 3) wrong.push(`the edge of ${named(e)} has a contrast of ${ratio.toFixed(2)}`);
  }
  return wrong;
})()
