//! The editor's bundle by itself, under the page's Content-Security-Policy.

use thirtyfour::prelude::*;

use crate::harness::{Screen, Tab, World, run};

const MANIFEST: &str =
    "apiVersion: apps/v1\\nkind: Deployment\\nmetadata:\\n  name: 안녕\\nspec:\\n  replicas: three # wrong\\n";

/// A page that shows nothing but an editor with [`MANIFEST`], which `window.editor` is.
async fn open_editor(world: &World, dark: bool) -> Tab {
    let tab = world.open(Screen::Desktop, "").await;
    tab.until("the page is there", "document.readyState === 'complete'").await;
    tab.evaluate(
        "import(new URL(document.querySelector('meta[name=kubetab-editor]').content, document.baseURI))\
         .then((module) => { window.editorModule = module })",
    )
    .await;
    tab.until("the bundle is loaded", "window.editorModule !== undefined").await;
    let create = format!(
        "(window.heard = [], document.body.replaceChildren(), window.editor = editorModule.create(document.body, {{
            text: '{MANIFEST}', dark: {dark}, labels: {{ editor: 'Manifest', phrases: {{ Find: '찾기' }} }},
            onChange: (text) => heard.push(text), onApply: () => heard.push('apply') }}), true)"
    );
    tab.evaluate(&create).await;
    tab
}

async fn press(tab: &Tab, keys: impl Into<TypingData>) {
    tab.element(".cm-content").await.send_keys(keys).await.expect("the editor takes keys");
}

#[test]
fn editor_marks_the_field_that_is_wrong() {
    run("editor_marks_the_field_that_is_wrong", async |world| {
        let tab = open_editor(world, false).await;
        tab.evaluate(
            "editor.setDiagnostics([{ line: 6, column: 13, endLine: 6, endColumn: 18, severity: 'error',
                message: 'cannot unmarshal string', hint: 'replicas is a number' }])",
        )
        .await;
        let marked = tab.until("a squiggle", "document.querySelector('.cm-lintRange-error')?.textContent").await;
        assert_eq!(marked, "three");
        let line = tab.evaluate("getComputedStyle(document.querySelector('.cm-lintRange-error')).textDecoration").await;
        assert_eq!(line, "underline wavy rgb(179, 38, 30)");
        tab.evaluate("editor.goTo(6, 13)").await;
        // F8 goes to the next message and shows it.
        press(&tab, Key::F8).await;
        tab.until_text(".cm-tooltip-lint", "cannot unmarshal string").await;
        tab.until_text(".cm-diagnostic-explained", "replicas is a number").await;
        tab.screenshot("editor-light").await;
    });
}

#[test]
fn editor_tells_the_page_what_the_user_does() {
    run("editor_tells_the_page_what_the_user_does", async |world| {
        let tab = open_editor(world, true).await;
        // Columns count characters, so the place after two Korean ones is column 11.
        tab.evaluate("editor.goTo(4, 11)").await;
        press(&tab, "!").await;
        tab.until("the change is heard", "heard.at(-1)?.includes('name: 안녕!\\nspec')").await;
        press(&tab, Key::Control + Key::Enter).await;
        tab.until("apply is heard", "heard.at(-1) === 'apply'").await;
        tab.evaluate("(heard.length = 0, editor.setText('kind: Pod'), editor.setDark(false), editor.setDark(true))")
            .await;
        assert_eq!(tab.evaluate("editor.getText()").await, "kind: Pod");
        assert_eq!(tab.evaluate("heard.length").await, 0, "the page need not hear of its own change");
        // Another file and back: the first one's undo history is kept.
        tab.evaluate("(editor.open('other', 'kind: Service'), editor.open('', 'kind: Pod'))").await;
        press(&tab, Key::Control + "z").await;
        tab.until("the old text is back", "editor.getText().includes('안녕!')").await;
        tab.screenshot("editor-dark").await;
    });
}

#[test]
fn editor_completes_and_finds() {
    run("editor_completes_and_finds", async |world| {
        let tab = open_editor(world, false).await;
        tab.evaluate("(editor.setWords(['terminationGracePeriodSeconds', 'template']), editor.goTo(7, 1))").await;
        press(&tab, "  term").await;
        tab.until_text(".cm-tooltip-autocomplete", "terminationGracePeriodSeconds").await;
        tab.click(".cm-tooltip-autocomplete li").await;
        tab.until("the word is there", "editor.getText().endsWith('  terminationGracePeriodSeconds')").await;
        press(&tab, Key::Control + "f").await;
        tab.until("the panel speaks Korean", "document.querySelector('.cm-search input')?.placeholder === '찾기'")
            .await;
        tab.screenshot("editor-search").await;
    });
}
