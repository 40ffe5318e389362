// What `kubectl explain` says of built-in kinds: a large text that is fetched when somebody first asks for it.
// scripts/finish.mjs writes its address into a meta tag.

/** Fetches the text. */
export async function fetchDescriptions() {
  const address = document.querySelector("meta[name=kubetab-descriptions]").content;
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.text();
}
