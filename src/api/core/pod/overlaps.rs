//! Warnings of files that hide each other in one volume. Follows `warningsForOverlappingVirtualPaths` of
//! `pkg/api/pod/warnings.go`.

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};

use crate::api::check::{list, text};
use crate::machinery::quote::quote;

/// A file of a volume: its path, and the source that it comes from where there are several.
#[derive(PartialEq, Eq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_owned(), source: source.to_owned() }
    }

    fn shown(&self) -> String {
        let path = quote(&self.path);
        if self.source.is_empty() { path } else { format!("{path} ({})", self.source) }
    }

    /// Whether one is the other, or a folder on the way to it. The same path of another source overlaps too.
    fn overlaps(&self, other: &Self) -> bool {
        let (own, its) = (format!("{}/", self.path), format!("{}/", other.path));
        !self.path.is_empty() && !other.path.is_empty() && (own.starts_with(&its) || its.starts_with(&own))
    }
}

/// What is to be said of each volume, in their order.
pub(super) fn warnings(volumes: &[Volume]) -> Vec<String> {
    let mut warnings = Vec::new();
    for volume in volumes {
        let name = quote(&volume.name);
        let mut tell = |what: &str, files: Vec<File>| {
            let pairs = overlaps(files);
            warnings.extend(pairs.iter().map(|pair| format!("volume {name} ({what}): overlapping paths: {pair}")));
        };
        if let Some(source) = &volume.config_map {
            tell(&format!("ConfigMap {}", quote(&source.name)), keys(list(&source.items), ""));
        }
        if let Some(source) = &volume.secret {
            tell(&format!("Secret {}", quote(text(&source.secret_name))), keys(list(&source.items), ""));
        }
        if let Some(source) = &volume.downward_api {
            tell("DownwardAPI", fields(list(&source.items), ""));
        }
        let Some(projected) = &volume.projected else { continue };
        let sources = list(&projected.sources);
        tell("Projected", sources.iter().flat_map(projected_files).collect());
        let empty = sources.iter().filter(|source| **source == VolumeProjection::default());
        warnings.extend(empty.map(|_| format!("volume {name} (Projected) has no sources provided")));
    }
    warnings
}

/// Each file that overlaps one before it.
fn overlaps(files: Vec<File>) -> Vec<String> {
    let mut found = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let others = files[..index].iter().filter(|other| file.overlaps(other));
        found.extend(others.map(|other| format!("{} with {}", file.shown(), other.shown())));
    }
    found
}

fn keys(items: &[KeyToPath], source: &str) -> Vec<File> {
    items.iter().map(|item| File::new(&item.path, source)).collect()
}

fn fields(items: &[DownwardAPIVolumeFile], source: &str) -> Vec<File> {
    items.iter().map(|item| File::new(&item.path, source)).collect()
}

/// The files of one source of a projected volume; upstream looks at the first that is named.
fn projected_files(projection: &VolumeProjection) -> Vec<File> {
    let named = |kind: &str, name: &str| format!("{kind} {}", quote(name));
    if let Some(source) = projection.config_map.as_ref().filter(|source| source.items.is_some()) {
        return keys(list(&source.items), &named("ConfigMap", &source.name));
    }
    if let Some(source) = projection.secret.as_ref().filter(|source| source.items.is_some()) {
        return keys(list(&source.items), &named("Secret", &source.name));
    }
    if let Some(source) = projection.downward_api.as_ref().filter(|source| source.items.is_some()) {
        return fields(list(&source.items), "DownwardAPI");
    }
    if let Some(token) = &projection.service_account_token {
        return vec![File::new(&token.path, "ServiceAccountToken")];
    }
    if let Some(bundle) = &projection.cluster_trust_bundle {
        let name = bundle.name.as_ref().or(bundle.signer_name.as_ref());
        let name = name.map_or("", String::as_str);
        return vec![File::new(&bundle.path, &named("ClusterTrustBundle", name))];
    }
    let Some(certificate) = &projection.pod_certificate else { return Vec::new() };
    let paths = [
        (&certificate.certificate_chain_path, "PodCertificate chain"),
        (&certificate.key_path, "PodCertificate key"),
        (&certificate.credential_bundle_path, "PodCertificate credential bundle"),
    ];
    let given = paths.into_iter().filter(|(path, _)| !text(path).is_empty());
    given.map(|(path, source)| File::new(text(path), source)).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn files_that_hide_each_other_are_told() {
        let item = |path: &str| json!({ "key": "k", "path": path });
        let volumes = json!([
            { "name": "a", "configMap": { "name": "m", "items": [item("x/y"), item("z"), item("x/"), item("xy")] } },
            { "name": "b", "secret": { "secretName": "s", "items": [item("p"), item("p")] } },
            { "name": "c", "projected": { "sources": [
                { "secret": { "name": "s", "items": [item("p")] } },
                { "serviceAccountToken": { "path": "p/q" } },
                {},
            ] } },
        ]);
        let volumes: Vec<Volume> = serde_json::from_value(volumes).expect("volumes");
        expect![[r#"
            volume "a" (ConfigMap "m"): overlapping paths: "x" with "x/y"
            volume "b" (Secret "s"): overlapping paths: "p" with "p"
            volume "c" (Projected): overlapping paths: "p/q" (ServiceAccountToken) with "p" (Secret "s")
            volume "c" (Projected) has no sources provided"#]]
        .assert_eq(&warnings(&volumes).join("\n"));
    }
}
