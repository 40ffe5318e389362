//! Flags that several commands have.

use crate::kubectl::flags::Flag;

/// The flags of every command that mean something here, and those that are taken without meaning.
pub(in crate::kubectl) const GLOBAL: &[Flag] = &[
    Flag::text("namespace").short('n'),
    Flag::text("context"),
    Flag::text("cluster"),
    Flag::text("kubeconfig"),
    Flag::text("request-timeout"),
    Flag::text("server").short('s'),
    Flag::integer("v").short('v'),
    Flag::switch("warnings-as-errors"),
    Flag::text("as"),
    Flag::text("as-uid"),
    Flag::text("as-group"),
    Flag::text("as-user-extra"),
    Flag::text("cache-dir"),
    Flag::text("certificate-authority"),
    Flag::text("client-certificate"),
    Flag::text("client-key"),
    Flag::switch("disable-compression"),
    Flag::switch("insecure-skip-tls-verify"),
    Flag::text("kuberc"),
    Flag::duration("log-flush-frequency"),
    Flag::switch("match-server-version"),
    Flag::text("password"),
    Flag::text("profile-output"),
    Flag::text("tls-server-name"),
    Flag::text("token"),
    Flag::text("username"),
    Flag::text("vmodule"),
    Flag::switch("help").short('h'),
];

pub(in crate::kubectl) const TALK: &[Flag] = &[
    Flag::text("container").short('c'),
    Flag::duration("pod-running-timeout"),
    Flag::switch("quiet").short('q'),
    Flag::switch("stdin").short('i'),
    Flag::switch("tty").short('t'),
];
pub(in crate::kubectl) const FILENAME: &[Flag] =
    &[Flag::texts("filename").short('f'), Flag::text("kustomize").short('k'), Flag::switch("recursive").short('R')];
pub(in crate::kubectl) const PRINT: &[Flag] = &[
    Flag::text("output").short('o'),
    Flag::text("template"),
    Flag::switch("show-managed-fields"),
    Flag::switch("allow-missing-template-keys"),
];
pub(in crate::kubectl) const DRY_RUN: &[Flag] = &[Flag::text("dry-run").implied("unchanged")];
pub(in crate::kubectl) const MANAGER: &[Flag] = &[Flag::text("field-manager")];
pub(in crate::kubectl) const VALIDATE: &[Flag] = &[Flag::text("validate").implied("strict")];
pub(in crate::kubectl) const SELECTOR: &[Flag] = &[Flag::text("selector").short('l')];
pub(in crate::kubectl) const FIELD_SELECTOR: &[Flag] = &[Flag::text("field-selector")];
pub(in crate::kubectl) const ALL: &[Flag] = &[Flag::switch("all")];
pub(in crate::kubectl) const ALL_NAMESPACES: &[Flag] = &[Flag::switch("all-namespaces").short('A')];
pub(in crate::kubectl) const SUBRESOURCE: &[Flag] = &[Flag::text("subresource")];
pub(in crate::kubectl) const CREATE: &[&[Flag]] = &[PRINT, DRY_RUN, MANAGER, VALIDATE, &[Flag::switch("save-config")]];
pub(in crate::kubectl) const WAIT_FOR_DELETION: &[Flag] = &[
    Flag::text("cascade").implied("background"),
    Flag::switch("force"),
    Flag::integer("grace-period"),
    Flag::duration("timeout"),
    Flag::switch("wait"),
];
pub(in crate::kubectl) const LABEL: &[&[Flag]] = &[
    FILENAME,
    PRINT,
    DRY_RUN,
    MANAGER,
    SELECTOR,
    FIELD_SELECTOR,
    ALL,
    ALL_NAMESPACES,
    &[Flag::switch("overwrite"), Flag::switch("list"), Flag::switch("local"), Flag::text("resource-version")],
];
pub(in crate::kubectl) const ROLE: &[Flag] =
    &[Flag::texts("verb"), Flag::texts("resource"), Flag::texts("resource-name")];
pub(in crate::kubectl) const SUBJECTS: &[Flag] =
    &[Flag::text("clusterrole"), Flag::texts("user"), Flag::texts("group"), Flag::texts("serviceaccount")];
pub(in crate::kubectl) const PRUNE: &[Flag] = &[Flag::switch("prune"), Flag::texts("prune-allowlist")];
pub(in crate::kubectl) const EDIT: &[&[Flag]] =
    &[FILENAME, PRINT, MANAGER, VALIDATE, &[Flag::switch("windows-line-endings"), Flag::switch("save-config")]];
pub(in crate::kubectl) const LOCAL: &[Flag] = &[Flag::switch("local")];
/// What commands have that change objects.
pub(in crate::kubectl) const CHANGE: &[&[Flag]] = &[FILENAME, PRINT, DRY_RUN, MANAGER];
pub(in crate::kubectl) const SET: &[&[Flag]] = &[FILENAME, PRINT, DRY_RUN, MANAGER, SELECTOR, ALL, LOCAL];
pub(in crate::kubectl) const ROLLOUT: &[&[Flag]] = &[FILENAME, PRINT, MANAGER, SELECTOR];
pub(in crate::kubectl) const DRAIN: &[Flag] = &[
    Flag::switch("force"),
    Flag::switch("ignore-daemonsets"),
    Flag::switch("ignore-errors"),
    Flag::switch("delete-emptydir-data"),
    Flag::switch("delete-local-data"),
    Flag::integer("grace-period"),
    Flag::duration("timeout"),
    Flag::text("pod-selector"),
    Flag::switch("disable-eviction"),
    Flag::integer("skip-wait-for-delete-timeout"),
    Flag::text("chunk-size"),
];
pub(in crate::kubectl) const SERVICE: &[&[Flag]] =
    &[&[Flag::texts("tcp"), Flag::text("clusterip"), Flag::integer("node-port"), Flag::text("external-name")]];
