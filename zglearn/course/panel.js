// The keys of the course's panels, which are made of ipywidgets: an unseen widget in each panel.

const INDENT = "    ";

export default {
  render({ model, el }) {
    el.hidden = true;
    let root = null, closed = false;
    const find = () => {
      if (closed) return;
      root = el.closest(".zg-course");
      if (!root) return requestAnimationFrame(find);
      root.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes letters for its own
      root.addEventListener("keydown", keys, true);
    };
    find();
    const focus = () => {
      const name = model.get("focus_next"), before = document.activeElement;
      const act = () => {
        if (closed || !name || model.get("focus_next") !== name) return;
        const first = root?.querySelector(`button.${name}, .${name} :is(textarea, input, button)`);
        if (!first) return requestAnimationFrame(act); // it is not drawn yet
        model.set("focus_next", "");
        model.save_changes();
        const now = document.activeElement;
        if (now !== before && root.contains(now)) return; // the reader has gone on by hand
        first.focus({ preventScroll: true });
        first.scrollIntoView({ block: "nearest" });
      };
      act();
    };
    model.on("change:focus_next", focus);
    focus();
    return () => {
      closed = true;
      root?.removeEventListener("keydown", keys, true);
      model.off("change:focus_next", focus);
    };
  },
};

function keys(event) {
  const root = event.currentTarget, box = event.target;
  const primary = root.querySelector(".zg-primary:not(:disabled)");
  const take = () => { event.preventDefault(); event.stopPropagation(); };
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    take();
    box.blur?.(); // an ipywidget sends what was typed
    primary?.click();
  } else if (event.key === "Escape" && box.matches("textarea, input")) {
    take();
    (primary ?? box).focus();
    if (!primary) box.blur();
  } else if (box.matches(".zg-code textarea") && !event.ctrlKey && !event.altKey) {
    if (event.key === "Tab") {
      take();
      indent(box, event.shiftKey);
    } else if (event.key === "Enter") {
      take();
      const line = box.value.slice(0, box.selectionStart).split("\n").at(-1);
      write(box, "\n" + line.match(/^ */)[0] + (/:\s*$/.test(line) ? INDENT : ""));
    }
  }
}

/** Indent at the cursor, or the lines that are selected; back moves them out again. */
function indent(box, back) {
  const { value, selectionStart: from, selectionEnd: to } = box;
  if (!back && from === to) return write(box, INDENT.slice(column(value, from) % INDENT.length));
  const start = from - column(value, from);
  const old = value.slice(start, to);
  const lines = back ? old.replace(/^ {1,4}/gm, "") : old.replace(/^(?=.)/gm, INDENT);
  box.setSelectionRange(start, to);
  write(box, lines);
  box.setSelectionRange(start, start + lines.length);
  if (from === to) box.setSelectionRange(start + lines.length, start + lines.length);
}

function column(text, at) {
  return at - (text.lastIndexOf("\n", at - 1) + 1);
}

/** Type a text, so that the box can undo it and hears of it. */
function write(box, text) {
  document.execCommand(text ? "insertText" : "delete", false, text);
}
