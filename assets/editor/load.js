// The one thing the page needs of the editor before it is there: loading it.
// scripts/finish.mjs wrote the bundle's address into a meta tag.
export function loadEditor() {
  const { content } = document.querySelector('meta[name="kubetab-editor"]');
  return import(new URL(content, document.baseURI).href);
}
