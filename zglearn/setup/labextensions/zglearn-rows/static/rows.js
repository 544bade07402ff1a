// Rows that were printed stay rows, and code breaks between words. JupyterLab breaks both at any
// letter, numbers included.
//
// A prebuilt extension of JupyterLab, written by hand, as zglearn-tabs is.
{
  // As wide as its longest line, to 136 letters, and never narrower than its place: longer lines
  // are prose, and break between words.
  const css = `
    .jp-OutputArea-output.jp-RenderedText pre {
      width: max-content; min-width: 100%; max-width: max(100%, 136ch);
      white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere; overflow: visible;
    }
    .jp-OutputArea-output.jp-RenderedMarkdown pre { word-break: normal; overflow-wrap: anywhere; }`;

  const plugin = {
    id: "zglearn-rows:plugin",
    autoStart: true,
    activate() {
      document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    },
  };

  (window._JUPYTERLAB ??= {})["zglearn-rows"] = { init() {}, get: async () => () => plugin };
}
