//! Roles and bindings.

use serde_json::Value;

use super::super::rules;
use super::writer::{Writer, items, text};

/// Writes a Role or a ClusterRole.
pub(super) fn role(writer: &mut Writer, role: &Value) {
    writer.field(0, "Name", text(&role["metadata"]["name"]));
    writer.labels_and_annotations(role);
    writer.line(0, "PolicyRule:");
    writer.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    writer.line(1, "---------\t-----------------\t--------------\t-----");
    for rule in rules::compacted(items(&role["rules"])) {
        writer.line(1, &rule.row());
    }
}

/// Writes a RoleBinding or a ClusterRoleBinding.
pub(super) fn binding(writer: &mut Writer, binding: &Value) {
    writer.field(0, "Name", text(&binding["metadata"]["name"]));
    writer.labels_and_annotations(binding);
    writer.line(0, "Role:");
    writer.field(1, "Kind", text(&binding["roleRef"]["kind"]));
    writer.field(1, "Name", text(&binding["roleRef"]["name"]));
    writer.line(0, "Subjects:");
    writer.line(1, "Kind\tName\tNamespace");
    writer.line(1, "----\t----\t---------");
    for subject in items(&binding["subjects"]) {
        let [kind, name, namespace] = ["kind", "name", "namespace"].map(|field| text(&subject[field]));
        writer.line(1, &format!("{kind}\t{name}\t{namespace}"));
    }
}
