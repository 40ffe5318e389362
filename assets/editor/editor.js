// The manifest editor: CodeMirror 6 behind the few words the page needs.
//
// The page loads this file after its first paint (assets/editor/load.js) and speaks to it
// through src/page/editor.rs. Lines and columns count from 1, columns in characters
// (Unicode scalar values), as the engine counts them.
import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import {
  bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, lintKeymap, nextDiagnostic, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Annotation, Compartment, EditorSelection, EditorState, Prec } from "@codemirror/state";
import {
  drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

// Every colour is a custom property of the page first; these are what it falls back to.
const palettes = {
  light: {
    background: "#ffffff", ink: "#1b2330", soft: "#5d687b", line: "#dfe3ec", active: "#f1f4fb",
    selection: "#cfdcfa", brand: "#3264d6", panel: "#f6f7fb", error: "#b3261e", warning: "#9a6200", info: "#0b7fab",
    key: "#2450b8", string: "#0f7552", number: "#7a3fc4", keyword: "#9a4a00", comment: "#5d687b", anchor: "#0b6f96",
  },
  dark: {
    background: "#171e29", ink: "#e7ecf5", soft: "#97a3b8", line: "#2a3444", active: "#1d2736",
    selection: "#2c4373", brand: "#7aa2ff", panel: "#0f141c", error: "#ff8a80", warning: "#f0b54a", info: "#62cdf3",
    key: "#8fb2ff", string: "#6bd9ae", number: "#c9b6ff", keyword: "#f3b27a", comment: "#97a3b8", anchor: "#62cdf3",
  },
};

function colours(dark) {
  const palette = palettes[dark ? "dark" : "light"];
  return Object.fromEntries(Object.entries(palette).map(([name, colour]) => [name, `var(--editor-${name}, ${colour})`]));
}

function squiggle(colour) {
  return { backgroundImage: "none", textDecoration: `underline wavy ${colour}`, textUnderlineOffset: "3px" };
}

function appearance(dark) {
  const c = colours(dark);
  const theme = EditorView.theme({
    "&": { color: c.ink, backgroundColor: c.background, height: "100%", fontSize: "var(--editor-font-size, 13px)", border: "2px solid transparent" },
    "&.cm-focused": { outline: "none", borderColor: c.brand },
    ".cm-scroller": { fontFamily: "var(--editor-font, ui-monospace, 'JetBrains Mono', Menlo, Consolas, monospace)", lineHeight: "1.55" },
    ".cm-content": { caretColor: c.ink },
    ".cm-cursor": { borderLeftColor: c.ink },
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: c.selection },
    ".cm-gutters": { color: c.soft, backgroundColor: c.background, border: "none" },
    ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: c.active },
    ".cm-selectionMatch": { backgroundColor: c.selection },
    ".cm-panels, .cm-tooltip": { color: c.ink, backgroundColor: c.panel, borderColor: c.line },
    ".cm-panels.cm-panels-top": { borderBottom: `1px solid ${c.line}` },
    ".cm-textfield": { color: c.ink, backgroundColor: c.background, border: `1px solid ${c.line}`, borderRadius: "6px" },
    ".cm-button": { color: c.ink, background: c.background, border: `1px solid ${c.line}`, borderRadius: "6px" },
    ".cm-tooltip-autocomplete > ul > li[aria-selected]": { color: c.background, backgroundColor: c.brand },
    ".cm-diagnostic": { padding: "6px 10px", whiteSpace: "pre-wrap" },
    ".cm-diagnostic-error": { borderLeftColor: c.error },
    ".cm-diagnostic-warning": { borderLeftColor: c.warning },
    ".cm-diagnostic-info": { borderLeftColor: c.info },
    ".cm-diagnostic-explained": { color: c.soft, marginTop: "4px" },
    ".cm-lintRange-error": squiggle(c.error),
    ".cm-lintRange-warning": squiggle(c.warning),
    ".cm-lintRange-info": squiggle(c.info),
  }, { dark });
  const highlighting = HighlightStyle.define([
    { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: c.key },
    { tag: [tags.string, tags.special(tags.string), tags.content], color: c.string },
    { tag: [tags.number, tags.bool, tags.null], color: c.number },
    { tag: [tags.keyword, tags.meta, tags.typeName], color: c.keyword },
    { tag: [tags.lineComment, tags.comment], color: c.comment, fontStyle: "italic" },
    { tag: [tags.labelName, tags.attributeValue], color: c.anchor },
  ], { themeType: dark ? "dark" : "light" });
  return [theme, syntaxHighlighting(highlighting)];
}

/** The position of a line and column, brought inside the document. */
function positionAt(document, lineNumber, column) {
  const line = document.line(Math.min(Math.max(lineNumber, 1), document.lines));
  let offset = 0;
  for (const character of line.text) {
    if (--column < 1) break;
    offset += character.length;
  }
  return line.from + offset;
}

function diagnosticAt(document, { line, column, endLine, endColumn, severity, message, hint }) {
  const from = positionAt(document, line, column);
  let to = Math.max(from, positionAt(document, endLine ?? line, endColumn ?? column));
  // An error at one point is shown from there to the end of its line.
  if (to === from) to = document.lineAt(from).to;
  return {
    from, to, severity: severity ?? "error", message: hint ? `${message}\n${hint}` : message,
    renderMessage() {
      const text = globalThis.document.createElement("div");
      text.append(message);
      if (hint) {
        const second = globalThis.document.createElement("div");
        second.className = "cm-diagnostic-explained";
        second.textContent = hint;
        text.append(second);
      }
      return text;
    },
  };
}

function completeFrom(words) {
  return (context) => {
    const before = context.matchBefore(/[\w./-]*/);
    if (!context.explicit && before.from === before.to) return null;
    return { from: before.from, options: words(), validFor: /^[\w./-]*$/ };
  };
}

// Marks a change the page made itself, of which it need not be told.
const fromPage = Annotation.define();

/**
 * Puts an editor into `parent`.
 *
 * @param {HTMLElement} parent
 * @param {object} options
 * @param {string} options.text
 * @param {boolean} options.dark
 * @param {(text: string) => void} options.onChange   after each change by the user
 * @param {() => void} options.onApply                Ctrl-Enter or Cmd-Enter
 * @param {{editor: string, phrases: Record<string, string>}} options.labels
 *   `editor` names it for screen readers, `phrases` translates CodeMirror's own words
 */
export function create(parent, { text = "", dark = false, onChange, onApply, labels = {} }) {
  const look = new Compartment();
  let words = [];
  const extensions = [
    lineNumbers(), foldGutter(), lintGutter(), history(), drawSelection(),
    highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(),
    bracketMatching(), indentOnInput(), indentUnit.of("  "), EditorState.tabSize.of(2),
    search({ top: true }), yaml(), autocompletion({ override: [completeFrom(() => words)] }),
    Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => { onApply?.(); return true; } }])),
    keymap.of([
      ...defaultKeymap, ...historyKeymap, ...searchKeymap, ...foldKeymap,
      ...completionKeymap, ...lintKeymap, indentWithTab,
    ]),
    EditorView.contentAttributes.of({ "aria-label": labels.editor ?? "Manifest", spellcheck: "false" }),
    EditorState.phrases.of(labels.phrases ?? {}),
    EditorView.updateListener.of((update) => {
      if (update.docChanged && !update.transactions.some((change) => change.annotation(fromPage))) {
        onChange?.(update.state.doc.toString());
      }
    }),
  ];
  const stateOf = (content) => EditorState.create({ doc: content, extensions: [extensions, look.of(appearance(dark))] });
  const view = new EditorView({ parent, state: stateOf(text) });
  // Files that are not in view keep their undo history and selection here.
  const files = new Map();
  let current = "";

  return {
    getText: () => view.state.doc.toString(),
    /** Replaces the text as one change that can be undone. */
    setText(content) {
      if (content === view.state.doc.toString()) return;
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: content },
        annotations: [fromPage.of(true), isolateHistory.of("full")],
      });
    },
    /** Shows another file; one that was open before comes back with its undo history. */
    open(name, content) {
      files.set(current, view.state);
      const kept = files.get(name);
      current = name;
      view.setState(kept && kept.doc.toString() === content ? kept : stateOf(content));
      view.dispatch({ effects: look.reconfigure(appearance(dark)) });
    },
    /** Forgets a file that `open` showed. */
    close: (name) => { files.delete(name); },
    setDiagnostics(list) {
      const { state } = view;
      view.dispatch(setDiagnostics(state, list.map((diagnostic) => diagnosticAt(state.doc, diagnostic))));
    },
    nextDiagnostic: () => nextDiagnostic(view),
    /** Words to complete: strings, or CodeMirror completions such as {label, detail, type}. */
    setWords(list) {
      words = list.map((word) => (typeof word === "string" ? { label: word } : word));
    },
    setDark(value) {
      dark = value;
      view.dispatch({ effects: look.reconfigure(appearance(dark)) });
    },
    focus: () => view.focus(),
    goTo(line, column) {
      const position = positionAt(view.state.doc, line, column);
      view.dispatch({
        selection: EditorSelection.cursor(position),
        effects: EditorView.scrollIntoView(position, { y: "center" }),
      });
      view.focus();
    },
    destroy: () => view.destroy(),
  };
}
