// Tables that sort and filter, and downloads made from what the page carries.
"use strict";
(() => {
  const NUMBER = /^[+\u2212-]?\d[\d,]*(\.\d+)?/;
  function key(row, place) {
    const cell = row.cells[place];
    if (!cell) return null;
    if (cell.dataset.sort !== undefined) return cell.dataset.sort === "" ? null : isNaN(cell.dataset.sort) ? cell.dataset.sort : Number(cell.dataset.sort);
    const text = (cell.firstChild && cell.firstChild.nodeType === Node.TEXT_NODE ? cell.firstChild.data : cell.textContent).trim();
    if (text === "" || text === "\u2013" || text === "not known" || cell.classList.contains("none")) return null;
    const found = text.match(NUMBER);
    return found ? Number(found[0].replace("\u2212", "-").replaceAll(",", "")) : text;
  }
  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    if (body.rows.length < 2) continue;
    const said = table.closest(".scroll").nextElementSibling;
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button"; button.className = "sort"; button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row, n) => [key(row, place), n, row]);
        rows.sort(([a, n], [b, m]) => {
          if (a === null || b === null) return (a === null) - (b === null) || n - m;  // what is not known comes last
          return (down ? -1 : 1) * compare(a, b) || n - m;
        });
        body.append(...rows.map(([, , row]) => row));
        if (said && said.classList.contains("sorted")) said.textContent = `Sorted by ${button.textContent.trim()}, ${down ? "descending" : "ascending"}.`;
      });
    });
    const abilities = [...new Set([...body.rows].map((row) => row.dataset.ability).filter(Boolean))];
    if (abilities.length < 2) continue;
    const label = document.createElement("label"), choice = document.createElement("select");
    label.className = "table-filter"; label.append("Ability ", choice);
    choice.append(new Option("all", ""), ...abilities.map((name) => new Option(name.replaceAll("_", " "), name)));
    choice.setAttribute("aria-label", `Ability, for the table: ${table.caption.textContent}`);
    choice.addEventListener("change", () => {
      for (const row of body.rows) row.hidden = choice.value !== "" && row.dataset.ability !== choice.value;
    });
    table.closest(".scroll").before(label);
  }

  function bytes(text) {
    const raw = atob(text), found = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
    return found;
  }
  async function content(carrier) {
    const blob = new Blob([bytes(carrier.textContent)]);
    if (carrier.dataset.packed !== "gzip") return blob;
    return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  }
  for (const button of document.querySelectorAll("button[data-download]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const blob = await content(document.getElementById(button.dataset.carrier));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob); link.download = button.dataset.download;
      document.body.append(link); link.click(); link.remove();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }
})();
