//! nginx's configuration files: what includes what, and what nginx knows.

use super::{Config, Directive, collect, parse};
use crate::machinery::shell::files::{base_name, parent};
use crate::machinery::shell::{CommandIo, pattern_matches};

/// The main file.
const MAIN: &str = "/etc/nginx/nginx.conf";
/// Files that the image has and that hold nothing of interest.
const OWN_FILES: [&str; 6] =
    ["mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params", "modules-enabled"];
/// How many files may include another.
const DEPTH_MAX: u32 = 5;

/// Directives of nginx's own modules; those that begin like one of `FAMILIES` are known, too.
const KNOWN: &str = include_str!("../../../../assets/nginx-directives.txt");
const FAMILIES: [&str; 13] = [
    "proxy_",
    "fastcgi_",
    "uwsgi_",
    "scgi_",
    "grpc_",
    "ssl_",
    "gzip",
    "memcached_",
    "health_check",
    "open_file_cache_",
    "limit_",
    "http2_",
    "js_",
];
/// Blocks whose content is no directives.
const TABLES: [&str; 4] = ["types", "map", "geo", "split_clients"];

/// Refuses what nginx does not know.
pub(super) fn check(directives: &[Directive]) -> Result<(), String> {
    for directive in directives {
        let name = directive.words.first().map_or("", String::as_str);
        let is_known =
            KNOWN.lines().any(|known| known == name) || FAMILIES.iter().any(|family| name.starts_with(family));
        if !is_known {
            return Err(format!("unknown directive \"{name}\" in {}", directive.place));
        }
        if let Some(block) = directive.block.as_deref().filter(|_| !TABLES.contains(&name)) {
            check(block)?;
        }
    }
    Ok(())
}

/// The files that `include` names.
fn included(pattern: &str, place: &str, io: &mut CommandIo<'_>) -> Result<Vec<String>, String> {
    let path = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/nginx/{pattern}") };
    if OWN_FILES.iter().any(|own| path.ends_with(own) || path.contains(&format!("/{own}/"))) {
        return Ok(Vec::new());
    }
    if path.contains('*') {
        let directory = parent(&path).to_owned();
        let names = io.files(|files| files.list(&directory)).unwrap_or_default();
        let fits = names.into_iter().filter(|name| pattern_matches(base_name(&path), name));
        return Ok(fits.map(|name| format!("{directory}/{name}")).collect());
    }
    match io.files(|files| files.stat(&path, true)) {
        Ok(_) => Ok(vec![path]),
        Err(error) => Err(format!("open() \"{path}\" failed (2: {error}) in {place}")),
    }
}

/// Puts included files in the place of what includes them.
fn expand(directives: Vec<Directive>, depth: u32, io: &mut CommandIo<'_>) -> Result<Vec<Directive>, String> {
    let mut expanded = Vec::new();
    for mut directive in directives {
        let includes = directive.words.first().is_some_and(|word| word == "include");
        if let Some(pattern) = directive.words.get(1).filter(|_| includes && depth < DEPTH_MAX).cloned() {
            for path in included(&pattern, &directive.place, io)? {
                expanded.extend(read(&path, depth + 1, io)?);
            }
            continue;
        }
        directive.block = directive.block.map(|block| expand(block, depth, io)).transpose()?;
        expanded.push(directive);
    }
    Ok(expanded)
}

fn read(path: &str, depth: u32, io: &mut CommandIo<'_>) -> Result<Vec<Directive>, String> {
    let bytes = io.files(|files| files.read(path)).map_err(|error| format!("open() \"{path}\" failed (2: {error})"))?;
    let directives = parse(&String::from_utf8_lossy(&bytes), path)?;
    check(&directives)?;
    expand(directives, depth, io)
}

/// Certificates that servers name must be there.
fn check_certificates(directives: &[Directive], io: &mut CommandIo<'_>) -> Result<(), String> {
    for directive in directives {
        if let [name, path, ..] = directive.words.as_slice()
            && matches!(name.as_str(), "ssl_certificate" | "ssl_certificate_key")
            && io.files(|files| files.stat(path, true)).is_err()
        {
            let what = if name.ends_with("key") { "certificate key" } else { "certificate" };
            return Err(format!(
                "cannot load {what} \"{path}\": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:calling fopen({path}, r) error:10000080:BIO routines::no such file)"
            ));
        }
        check_certificates(directive.block.as_deref().unwrap_or_default(), io)?;
    }
    Ok(())
}

/// Reads the configuration of a container.
pub(in super::super) fn load(io: &mut CommandIo<'_>) -> Result<Config, String> {
    let arguments = io.arguments();
    let at = arguments.iter().position(|word| word == "-c");
    let main = at.and_then(|at| arguments.get(at + 1)).map_or(MAIN, String::as_str).to_owned();
    let directives = read(&main, 0, io)?;
    check_certificates(&directives, io)?;
    if !directives.iter().any(|directive| directive.words.first().is_some_and(|word| word == "events")) {
        return Err("no \"events\" section in configuration".to_owned());
    }
    let mut config = Config::default();
    collect(&directives, &mut config);
    Ok(config)
}
