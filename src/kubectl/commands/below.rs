//! The commands below `config`, `rollout` and `set`.

use super::groups::{ALL, CHANGE, DRY_RUN, FILENAME, PRINT, ROLLOUT, SELECTOR, SET};
use crate::kubectl::command::Command;
use crate::kubectl::flags::Flag;
use crate::kubectl::{config, config_entries, environment, history, rollout, rollout_status, set};

/// Those of `config`.
pub(super) const CONFIG_COMMANDS: &[Command] = &[
    Command::new("current-context", config::current_context),
    Command::new("delete-cluster", config_entries::delete_cluster),
    Command::new("delete-context", config::delete_context),
    Command::new("delete-user", config_entries::delete_user),
    Command::new("get-clusters", config::get_clusters),
    Command::new("get-contexts", config::get_contexts)
        .flags(&[&[Flag::text("output").short('o'), Flag::switch("no-headers")]]),
    Command::new("get-users", config::get_users),
    Command::new("rename-context", config::rename_context),
    Command::new("set", config_entries::set).flags(&[&[Flag::switch("set-raw-bytes")]]),
    Command::new("set-cluster", config_entries::set_cluster)
        .flags(&[&[Flag::switch("embed-certs"), Flag::text("proxy-url")]]),
    Command::new("set-context", config::set_context).flags(&[&[Flag::switch("current"), Flag::text("user")]]),
    Command::new("set-credentials", config_entries::set_credentials).flags(&[&[Flag::switch("embed-certs")]]),
    Command::new("unset", config_entries::unset),
    Command::new("use-context", config::use_context).aliases(&["use"]),
    Command::new("view", config::view).flags(&[
        PRINT,
        &[Flag::switch("minify"), Flag::switch("raw"), Flag::switch("flatten"), Flag::switch("merge")],
    ]),
];

/// Those of `rollout`.
pub(super) const ROLLOUT_COMMANDS: &[Command] = &[
    Command::new("history", history::run).flags(&[FILENAME, PRINT, SELECTOR, &[Flag::integer("revision")]]),
    Command::new("pause", rollout::pause).flags(ROLLOUT),
    Command::new("restart", rollout::restart).flags(ROLLOUT),
    Command::new("resume", rollout::resume).flags(ROLLOUT),
    Command::new("status", rollout_status::run).flags(&[
        FILENAME,
        SELECTOR,
        &[Flag::switch("watch").short('w'), Flag::integer("revision"), Flag::duration("timeout")],
    ]),
    Command::new("undo", rollout::undo).flags(&[FILENAME, PRINT, SELECTOR, DRY_RUN, &[Flag::integer("to-revision")]]),
];

/// Those of `set`.
pub(super) const SET_COMMANDS: &[Command] = &[
    Command::new("env", environment::run).flags(SET).and(&[&[
        Flag::text("containers").short('c'),
        Flag::text("env").short('e'),
        Flag::text("from"),
        Flag::texts("keys"),
        Flag::text("prefix"),
        Flag::switch("list"),
        Flag::switch("resolve"),
        Flag::switch("overwrite"),
    ]]),
    Command::new("image", set::image).flags(SET),
    Command::new("resources", set::resources).flags(SET).and(&[&[
        Flag::text("containers").short('c'),
        Flag::text("limits"),
        Flag::text("requests"),
    ]]),
    Command::new("selector", set::selector)
        .flags(CHANGE)
        .and(&[ALL, &[Flag::switch("local"), Flag::text("resource-version")]]),
    Command::new("serviceaccount", set::service_account).aliases(&["sa"]).flags(SET),
    Command::new("subject", set::subject).flags(SET).and(&[&[
        Flag::text("user"),
        Flag::text("group"),
        Flag::text("serviceaccount"),
    ]]),
];
