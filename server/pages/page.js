() => {
  // What gradio leaves without a name, or without a voice: looked at again whenever the page changes.
  const labelOf = (part) => part.closest(".block")?.querySelector("label span, [data-testid=block-label], [data-testid=block-info]")?.innerText.trim() || "";

  const name = (part, text) => { if (text && part.getAttribute("aria-label") !== text) part.setAttribute("aria-label", text); };

  const mend = () => {
    if (!document.querySelector("main, [role=main]")) document.querySelector(".gradio-container")?.setAttribute("role", "main");
    for (const button of document.querySelectorAll("button")) {
      const visible = button.innerText.trim(), said = button.getAttribute("aria-label");
      if (said && visible && !said.toLowerCase().includes(visible.toLowerCase())) button.removeAttribute("aria-label");
      if (!said && !visible) name(button, button.title || labelOf(button));
    }
    for (const field of document.querySelectorAll("input, textarea")) {
      if (!field.labels?.length && !field.getAttribute("aria-label") && !field.getAttribute("aria-labelledby")) name(field, labelOf(field));
    }
    for (const image of document.querySelectorAll("#unrender_pages .block img")) {
      if (!image.alt) image.alt = labelOf(image);
    }
    for (const empty of document.querySelectorAll("div.empty[aria-label]:not([role])")) empty.setAttribute("role", "img");
  };

  // One region that is there from the beginning, so that what it is told is read out: the lines that end a piece of work.
  const voice = document.createElement("div");
  voice.className = "unrender-spoken";
  voice.setAttribute("role", "status");
  voice.id = "unrender_voice";
  document.body.append(voice);
  const heard = new Map();
  const speak = () => {
    for (const line of document.querySelectorAll("[id^=unrender_][id$=_status]")) {
      const text = line.querySelector("p")?.innerText.trim() || "";
      if (text === heard.get(line.id)) continue;
      heard.set(line.id, text);
      const prompt = line.id === "unrender_status" && line.querySelector(".unrender-done") ? document.querySelector("#unrender_prompt textarea")?.value : "";
      if (text && !text.endsWith("…")) voice.textContent = prompt ? `${text} ${prompt}` : text;
    }
  };

  let waits = false;
  const look = () => { waits = false; mend(); speak(); };
  const soon = () => { if (!waits) { waits = true; setTimeout(look, 100); } };
  new MutationObserver(soon).observe(document.body, { childList: true, subtree: true, characterData: true });
  soon();
  return [];
}
