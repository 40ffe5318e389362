//! How much a visitor downloads, in bytes after gzip, as static hosts send it.

use std::path::PathBuf;

use crate::harness::project;

/// Page: wasm, JavaScript and style, all that is loaded before its first paint.
const PAGE_BYTES_MAX: usize = 300_000;
/// Engine: the wasm with which the worker shows a live cluster.
const ENGINE_BYTES_MAX: usize = 700_000;
/// The rest of the page's wasm, loaded after its first paint.
const PAGE_LATE_BYTES_MAX: usize = 150_000;
/// The rest of the engine's wasm, loaded when the cluster lives.
const ENGINE_LATE_BYTES_MAX: usize = 2_100_000;
/// Editor: CodeMirror, loaded after the first paint.
const EDITOR_BYTES_MAX: usize = 140_000;
/// What gzip adds around the compressed bytes: header and checksum.
const GZIP_FRAME_BYTES: usize = 18;

#[test]
fn downloads_stay_within_their_budgets() {
    let page = gzip_sum(&["page-*.js", "page_bg-*.wasm", "page-*.css", "cluster-*.js"]);
    let engine = gzip_sum(&["cluster_bg-*.wasm"]);
    let page_late = gzip_sum(&["page_late-*.wasm"]);
    let engine_late = gzip_sum(&["cluster_late-*.wasm"]);
    let editor = gzip_sum(&["editor-*.js"]);
    for (what, size, most) in [
        ("page wasm + js + css", page, PAGE_BYTES_MAX),
        ("engine wasm", engine, ENGINE_BYTES_MAX),
        ("rest of the page, after its first paint", page_late, PAGE_LATE_BYTES_MAX),
        ("rest of the engine, after the cluster lives", engine_late, ENGINE_LATE_BYTES_MAX),
        ("editor, after the first paint", editor, EDITOR_BYTES_MAX),
    ] {
        println!("download: {what}: {size} bytes gzip of at most {most}");
        assert!(size <= most, "{what}: {size} bytes gzip, the budget is {most}");
    }
}

/// The sum over the files in `dist/` that fit; each pattern must fit exactly one.
fn gzip_sum(patterns: &[&str]) -> usize {
    patterns.iter().map(|pattern| gzip_size(&the_file(pattern))).sum()
}

fn gzip_size(file: &PathBuf) -> usize {
    let bytes = std::fs::read(file).expect("the file was listed");
    miniz_oxide::deflate::compress_to_vec(&bytes, 9).len() + GZIP_FRAME_BYTES
}

fn the_file(pattern: &str) -> PathBuf {
    let (start, end) = pattern.split_once('*').expect("a pattern has a star");
    let files = std::fs::read_dir(project().join("dist"));
    let files = files.expect("dist/ is not there. Build the page first: make dist");
    let fits = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    };
    let found: Vec<PathBuf> = files.filter_map(Result::ok).map(|entry| entry.path()).filter(fits).collect();
    assert_eq!(found.len(), 1, "{pattern} in dist/: {found:?}");
    found.into_iter().next().expect("one was found")
}
