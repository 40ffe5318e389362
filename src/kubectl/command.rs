//! The commands with their flags, and how a command line finds its command.
//!
//! Follows `github.com/spf13/cobra` as `k8s.io/kubectl/pkg/cmd/cmd.go` sets it up.

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::flags::{self, Flag, Flags};
use super::{
    apply, auth, config, create, delete, drain, environment, exec, expose, generate, generate_access, generate_jobs,
    generate_policy, get, history, label, logs, patch, replace, rollout, rollout_status, scale, set, taint, wait,
};

/// A command, or a group of them.
#[derive(Debug)]
pub(super) struct Command {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Its flags.
    pub flags: &'static [&'static [Flag]],
    /// What it does.
    pub run: fn(&mut Cli<'_>) -> Result<Step, Failure>,
    /// The commands below it.
    pub commands: &'static [Self],
}

impl Command {
    const fn new(name: &'static str, run: fn(&mut Cli<'_>) -> Result<Step, Failure>) -> Self {
        Self { name, aliases: &[], flags: &[], run, commands: &[] }
    }

    const fn flags(self, flags: &'static [&'static [Flag]]) -> Self {
        Self { flags, ..self }
    }

    const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn commands(self, commands: &'static [Self]) -> Self {
        Self { commands, ..self }
    }

    /// Its own flags, then those of every command.
    fn all_flags(&self) -> Vec<Flag> {
        self.flags.iter().flat_map(|group| group.iter()).chain(GLOBAL).copied().collect()
    }

    fn child(&self, name: &str) -> Option<&'static Self> {
        self.commands.iter().find(|command| command.name == name || command.aliases.contains(&name))
    }
}

/// A command line whose command was found.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// The command.
    pub command: &'static Command,
    /// Its full name, such as `kubectl rollout status`.
    pub path: String,
    /// The line as it was typed.
    pub line: String,
    /// The flags.
    pub flags: Flags,
    /// All other words behind the command's name.
    pub arguments: Vec<String>,
    /// How many of them stand before `--`, where there is one.
    pub dash: Option<usize>,
}

/// Finds the command of a command line and reads its flags.
pub(super) fn parse(words: &[String]) -> Result<Parsed, Failure> {
    let line = std::iter::once("kubectl").chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let mut words = words.to_vec();
    let mut command = &ROOT;
    let mut path = "kubectl".to_owned();
    while let Some(at) = first_argument(&words, &command.all_flags()) {
        let Some(child) = command.child(&words[at]) else { break };
        words.remove(at);
        command = child;
        path = format!("{path} {}", child.name);
    }
    let known = command.all_flags();
    if std::ptr::eq(command, &raw const ROOT)
        && let Some(at) = first_argument(&words, &known)
    {
        return Err(unknown_command(&words[at]));
    }
    let (flags, arguments, dash) = flags::parse(&words, &known, &path)?;
    Ok(Parsed { command, path, line, flags, arguments, dash })
}

/// The command that a line has come to, and the words that are left for it.
pub(super) fn deepest(words: &[String]) -> (&'static Command, Vec<String>) {
    let mut words = words.to_vec();
    let mut command = &ROOT;
    while let Some(at) = first_argument(&words, &command.all_flags()) {
        let Some(child) = command.child(&words[at]) else { break };
        words.remove(at);
        command = child;
    }
    (command, words)
}

/// The names of a command's flags.
pub(super) fn flag_names(command: &Command) -> impl Iterator<Item = &'static str> {
    command.all_flags().into_iter().map(|flag| flag.name)
}

/// Where the first word stands that is neither a flag nor a flag's value.
fn first_argument(words: &[String], known: &[Flag]) -> Option<usize> {
    let mut skip = false;
    for (at, word) in words.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        if word == "--" {
            return None;
        }
        let takes_word = |flag: &Flag| flag.implied.is_none();
        if let Some(name) = word.strip_prefix("--") {
            skip = !name.contains('=') && known.iter().find(|flag| flag.name == name).is_some_and(takes_word);
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut letters = letters.chars();
            let first = letters.next();
            let flag = known.iter().find(|flag| flag.short == first && first.is_some());
            skip = letters.next().is_none() && flag.is_some_and(takes_word);
        } else {
            return Some(at);
        }
    }
    None
}

fn unknown_command(name: &str) -> Failure {
    let mut text = format!("unknown command {name:?} for \"kubectl\"");
    let close = ROOT.commands.iter().filter(|command| {
        distance(name, command.name) <= 2 || command.name.to_lowercase().starts_with(&name.to_lowercase())
    });
    let close: Vec<&str> = close.map(|command| command.name).collect();
    if !close.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        for name in close {
            text.push_str(&format!("\t{name}\n"));
        }
    }
    Failure::Message(text)
}

/// The edit distance of two words, in ordinary letters: cobra's `ld`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The flags of every command that mean something here, and those that are taken without meaning.
const GLOBAL: &[Flag] = &[
    Flag::text("namespace").short('n'),
    Flag::text("context"),
    Flag::text("cluster"),
    Flag::text("kubeconfig"),
    Flag::text("request-timeout"),
    Flag::text("server").short('s'),
    Flag::integer("v").implied("0"),
    Flag::switch("warnings-as-errors"),
    Flag::text("as"),
    Flag::text("as-uid"),
    Flag::text("as-group"),
];

const TALK: &[Flag] = &[
    Flag::text("container").short('c'),
    Flag::switch("stdin").short('i'),
    Flag::switch("tty").short('t'),
    Flag::switch("quiet").short('q'),
    Flag::duration("pod-running-timeout"),
];
const FILENAME: &[Flag] =
    &[Flag::texts("filename").short('f'), Flag::text("kustomize").short('k'), Flag::switch("recursive").short('R')];
const PRINT: &[Flag] = &[
    Flag::text("output").short('o'),
    Flag::text("template"),
    Flag::switch("show-managed-fields"),
    Flag::switch("allow-missing-template-keys"),
];
const DRY_RUN: &[Flag] = &[Flag::text("dry-run").implied("unchanged")];
const MANAGER: &[Flag] = &[Flag::text("field-manager")];
const VALIDATE: &[Flag] = &[Flag::text("validate").implied("strict")];
const SELECTOR: &[Flag] = &[Flag::text("selector").short('l')];
const FIELD_SELECTOR: &[Flag] = &[Flag::text("field-selector")];
const ALL: &[Flag] = &[Flag::switch("all")];
const ALL_NAMESPACES: &[Flag] = &[Flag::switch("all-namespaces").short('A')];
const SUBRESOURCE: &[Flag] = &[Flag::text("subresource")];
const CREATE: &[&[Flag]] = &[PRINT, DRY_RUN, MANAGER, VALIDATE, &[Flag::switch("save-config")]];
const WAIT_FOR_DELETION: &[Flag] = &[
    Flag::text("cascade").implied("background"),
    Flag::switch("force"),
    Flag::integer("grace-period"),
    Flag::duration("timeout"),
    Flag::switch("wait"),
];
const LABEL: &[&[Flag]] = &[
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
const ROLE: &[Flag] =
    &[Flag::texts("verb"), Flag::texts("resource"), Flag::texts("resource-name"), Flag::switch("save-config")];
const SUBJECTS: &[Flag] = &[
    Flag::text("clusterrole"),
    Flag::texts("user"),
    Flag::texts("group"),
    Flag::texts("serviceaccount"),
    Flag::switch("save-config"),
];
const LOCAL: &[Flag] = &[Flag::switch("local")];
const SET: &[&[Flag]] = &[FILENAME, PRINT, DRY_RUN, MANAGER, SELECTOR, ALL, LOCAL];
const ROLLOUT: &[&[Flag]] = &[FILENAME, PRINT, MANAGER, SELECTOR, DRY_RUN];
const DRAIN: &[Flag] = &[
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

/// kubectl itself.
static ROOT: Command = Command::new("kubectl", |_| Ok(Step::Done)).commands(&[
    Command::new("annotate", label::annotate).flags(LABEL),
    Command::new("apply", apply::run)
        .flags(&[
            FILENAME,
            PRINT,
            DRY_RUN,
            MANAGER,
            VALIDATE,
            SELECTOR,
            ALL,
            SUBRESOURCE,
            WAIT_FOR_DELETION,
            &[Flag::switch("server-side"), Flag::switch("force-conflicts"), Flag::switch("overwrite")],
        ])
        .commands(&[
            Command::new("view-last-applied", apply::view_last_applied).flags(&[
                FILENAME,
                SELECTOR,
                ALL,
                &[Flag::text("output").short('o')],
            ]),
            Command::new("set-last-applied", apply::set_last_applied).flags(&[
                FILENAME,
                PRINT,
                DRY_RUN,
                &[Flag::switch("create-annotation")],
            ]),
        ]),
    Command::new("attach", exec::attach).flags(&[TALK]),
    Command::new("auth", auth::help).commands(&[
        Command::new("can-i", auth::can_i).flags(&[
            ALL_NAMESPACES,
            SUBRESOURCE,
            &[Flag::switch("list"), Flag::switch("quiet").short('q'), Flag::switch("no-headers")],
        ]),
        Command::new("whoami", auth::whoami).flags(&[PRINT]),
    ]),
    Command::new("config", config::help).commands(&[
        Command::new("view", config::view).flags(&[PRINT, &[Flag::switch("minify"), Flag::switch("raw")]]),
        Command::new("current-context", config::current_context),
        Command::new("get-contexts", config::get_contexts).flags(&[PRINT, &[Flag::switch("no-headers")]]),
        Command::new("set-context", config::set_context).flags(&[&[
            Flag::switch("current"),
            Flag::text("cluster"),
            Flag::text("user"),
        ]]),
        Command::new("use-context", config::use_context).aliases(&["use"]),
    ]),
    Command::new("cordon", drain::cordon).flags(&[SELECTOR, DRY_RUN]),
    Command::new("create", create::run)
        .flags(&[
            FILENAME,
            PRINT,
            DRY_RUN,
            MANAGER,
            VALIDATE,
            SELECTOR,
            &[Flag::text("raw"), Flag::switch("save-config")],
        ])
        .commands(&[
            Command::new("clusterrole", generate_access::cluster_role).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                ROLE,
                &[Flag::texts("non-resource-url"), Flag::texts("aggregation-rule")],
            ]),
            Command::new("clusterrolebinding", generate_access::cluster_role_binding)
                .flags(&[PRINT, DRY_RUN, MANAGER, VALIDATE, SUBJECTS]),
            Command::new("configmap", generate::config_map).aliases(&["cm"]).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                &[
                    Flag::text("from-literal"),
                    Flag::text("from-file"),
                    Flag::text("from-env-file"),
                    Flag::switch("append-hash"),
                    Flag::switch("save-config"),
                ],
            ]),
            Command::new("deployment", generate::deployment).aliases(&["deploy"]).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                &[
                    Flag::texts("image"),
                    Flag::integer("port"),
                    Flag::integer("replicas").short('r'),
                    Flag::switch("save-config"),
                ],
            ]),
            Command::new("cronjob", generate_jobs::cron_job).aliases(&["cj"]).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                &[Flag::text("image"), Flag::text("schedule"), Flag::text("restart"), Flag::switch("save-config")],
            ]),
            Command::new("job", generate_jobs::job).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                &[Flag::text("image"), Flag::text("from"), Flag::switch("save-config")],
            ]),
            Command::new("namespace", generate::namespace).aliases(&["ns"]).flags(CREATE),
            Command::new("poddisruptionbudget", generate_policy::budget).aliases(&["pdb"]).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                &[
                    Flag::text("min-available"),
                    Flag::text("max-unavailable"),
                    Flag::text("selector"),
                    Flag::switch("save-config"),
                ],
            ]),
            Command::new("priorityclass", generate_policy::priority_class).aliases(&["pc"]).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                &[
                    Flag::integer("value"),
                    Flag::switch("global-default"),
                    Flag::text("description"),
                    Flag::text("preemption-policy"),
                    Flag::switch("save-config"),
                ],
            ]),
            Command::new("quota", generate_policy::quota).aliases(&["resourcequota"]).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                &[Flag::text("hard"), Flag::text("scopes"), Flag::switch("save-config")],
            ]),
            Command::new("role", generate_access::role).flags(&[PRINT, DRY_RUN, MANAGER, VALIDATE, ROLE]),
            Command::new("rolebinding", generate_access::role_binding).flags(&[
                PRINT,
                DRY_RUN,
                MANAGER,
                VALIDATE,
                SUBJECTS,
                &[Flag::text("role")],
            ]),
            Command::new("secret", generate::secret).commands(&[Command::new("generic", generate::secret_generic)
                .flags(&[
                    PRINT,
                    DRY_RUN,
                    MANAGER,
                    VALIDATE,
                    &[
                        Flag::text("from-literal"),
                        Flag::text("from-file"),
                        Flag::text("from-env-file"),
                        Flag::text("type"),
                        Flag::switch("append-hash"),
                        Flag::switch("save-config"),
                    ],
                ])]),
            Command::new("service", generate::service).aliases(&["svc"]).commands(&[
                Command::new("clusterip", generate::service_cluster_ip).flags(SERVICE),
                Command::new("nodeport", generate::service_node_port).flags(SERVICE),
                Command::new("loadbalancer", generate::service_load_balancer).flags(SERVICE),
                Command::new("externalname", generate::service_external_name).flags(SERVICE),
            ]),
            Command::new("serviceaccount", generate::service_account).aliases(&["sa"]).flags(CREATE),
            Command::new("token", generate_access::token)
                .flags(&[PRINT, &[Flag::text("audience"), Flag::text("duration"), Flag::text("bound-object-name")]]),
        ]),
    Command::new("delete", delete::run).flags(&[
        FILENAME,
        DRY_RUN,
        SELECTOR,
        FIELD_SELECTOR,
        ALL,
        ALL_NAMESPACES,
        WAIT_FOR_DELETION,
        &[Flag::text("output").short('o'), Flag::switch("now"), Flag::switch("ignore-not-found"), Flag::text("raw")],
    ]),
    Command::new("drain", drain::drain).flags(&[DRAIN, SELECTOR, DRY_RUN]),
    Command::new("expose", expose::run).aliases(&["svc"]).flags(&[
        FILENAME,
        PRINT,
        DRY_RUN,
        MANAGER,
        &[
            Flag::text("name"),
            Flag::text("port"),
            Flag::text("target-port"),
            Flag::text("protocol"),
            Flag::text("type"),
            Flag::text("selector"),
            Flag::text("labels").short('l'),
            Flag::text("external-ip"),
            Flag::text("load-balancer-ip"),
            Flag::text("cluster-ip"),
            Flag::text("session-affinity"),
            Flag::text("overrides"),
            Flag::switch("save-config"),
        ],
    ]),
    Command::new("get", get::run).flags(&[
        FILENAME,
        PRINT,
        SELECTOR,
        FIELD_SELECTOR,
        ALL_NAMESPACES,
        SUBRESOURCE,
        &[
            Flag::text("raw"),
            Flag::switch("watch").short('w'),
            Flag::switch("watch-only"),
            Flag::switch("output-watch-events"),
            Flag::switch("ignore-not-found"),
            Flag::switch("no-headers"),
            Flag::switch("show-labels"),
            Flag::switch("show-kind"),
            Flag::texts("label-columns").short('L'),
            Flag::text("sort-by"),
            Flag::integer("chunk-size"),
            Flag::switch("server-print"),
        ],
    ]),
    Command::new("exec", exec::exec).flags(&[FILENAME, TALK]),
    Command::new("label", label::label).flags(LABEL),
    Command::new("logs", logs::run).flags(&[
        SELECTOR,
        &[
            Flag::text("container").short('c'),
            Flag::switch("follow").short('f'),
            Flag::switch("previous").short('p'),
            Flag::switch("timestamps"),
            Flag::switch("all-containers"),
            Flag::switch("all-pods"),
            Flag::switch("prefix"),
            Flag::switch("ignore-errors"),
            Flag::integer("tail"),
            Flag::integer("limit-bytes"),
            Flag::integer("max-log-requests"),
            Flag::duration("since"),
            Flag::text("since-time"),
            Flag::duration("pod-running-timeout"),
        ],
    ]),
    Command::new("patch", patch::run).flags(&[
        FILENAME,
        PRINT,
        DRY_RUN,
        MANAGER,
        SUBRESOURCE,
        &[Flag::text("patch").short('p'), Flag::text("patch-file"), Flag::text("type"), Flag::switch("local")],
    ]),
    Command::new("replace", replace::run).flags(&[
        FILENAME,
        PRINT,
        DRY_RUN,
        MANAGER,
        VALIDATE,
        SUBRESOURCE,
        WAIT_FOR_DELETION,
        &[Flag::text("raw"), Flag::switch("save-config")],
    ]),
    Command::new("rollout", rollout::unknown).commands(&[
        Command::new("history", history::run).flags(&[
            FILENAME,
            PRINT,
            SELECTOR,
            DRY_RUN,
            &[Flag::integer("revision")],
        ]),
        Command::new("pause", rollout::pause).flags(ROLLOUT),
        Command::new("restart", rollout::restart).flags(ROLLOUT),
        Command::new("resume", rollout::resume).flags(ROLLOUT),
        Command::new("status", rollout_status::run).flags(&[
            FILENAME,
            SELECTOR,
            &[Flag::switch("watch").short('w'), Flag::integer("revision"), Flag::duration("timeout")],
        ]),
        Command::new("undo", rollout::undo).flags(&[
            FILENAME,
            PRINT,
            SELECTOR,
            DRY_RUN,
            &[Flag::integer("to-revision")],
        ]),
    ]),
    Command::new("run", generate::run).flags(&[
        PRINT,
        DRY_RUN,
        MANAGER,
        &[
            Flag::text("image"),
            Flag::text("image-pull-policy"),
            Flag::text("restart"),
            Flag::text("port"),
            Flag::text("labels").short('l'),
            Flag::text("env"),
            Flag::text("annotations"),
            Flag::switch("command"),
            Flag::switch("privileged"),
            Flag::text("overrides"),
            Flag::switch("save-config"),
        ],
    ]),
    Command::new("scale", scale::run).flags(&[
        FILENAME,
        PRINT,
        DRY_RUN,
        SELECTOR,
        ALL,
        &[
            Flag::integer("replicas"),
            Flag::integer("current-replicas"),
            Flag::text("resource-version"),
            Flag::duration("timeout"),
        ],
    ]),
    Command::new("set", set::help).commands(&[
        Command::new("env", environment::run).flags(&[
            FILENAME,
            PRINT,
            DRY_RUN,
            MANAGER,
            SELECTOR,
            ALL,
            LOCAL,
            &[
                Flag::text("containers").short('c'),
                Flag::text("env").short('e'),
                Flag::text("from"),
                Flag::texts("keys"),
                Flag::text("prefix"),
                Flag::switch("list"),
                Flag::switch("resolve"),
                Flag::switch("overwrite"),
            ],
        ]),
        Command::new("image", set::image).flags(SET),
        Command::new("resources", set::resources).flags(&[
            FILENAME,
            PRINT,
            DRY_RUN,
            MANAGER,
            SELECTOR,
            ALL,
            LOCAL,
            &[Flag::text("containers").short('c'), Flag::text("limits"), Flag::text("requests")],
        ]),
        Command::new("selector", set::selector).flags(&[
            FILENAME,
            PRINT,
            DRY_RUN,
            MANAGER,
            ALL,
            &[Flag::switch("local"), Flag::text("resource-version")],
        ]),
        Command::new("serviceaccount", set::service_account).aliases(&["sa"]).flags(SET),
    ]),
    Command::new("taint", taint::run).flags(&[
        PRINT,
        DRY_RUN,
        MANAGER,
        SELECTOR,
        VALIDATE,
        ALL,
        &[Flag::switch("overwrite")],
    ]),
    Command::new("uncordon", drain::uncordon).flags(&[SELECTOR, DRY_RUN]),
    Command::new("wait", wait::run).flags(&[
        FILENAME,
        PRINT,
        SELECTOR,
        FIELD_SELECTOR,
        ALL,
        ALL_NAMESPACES,
        &[Flag::text("for"), Flag::duration("timeout")],
    ]),
]);

const SERVICE: &[&[Flag]] = &[
    PRINT,
    DRY_RUN,
    MANAGER,
    VALIDATE,
    &[
        Flag::texts("tcp"),
        Flag::text("clusterip"),
        Flag::integer("node-port"),
        Flag::text("external-name"),
        Flag::switch("save-config"),
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words).unwrap_or_else(|failure| panic!("{line}: {}", failure.text()))
    }

    #[test]
    fn flags_may_stand_anywhere_and_take_values_in_every_form() {
        let line = parsed("-n a rollout --namespace=b status -w=false deploy/web --timeout 5s");
        assert_eq!(line.path, "kubectl rollout status");
        assert_eq!(line.flags.text("namespace"), "b");
        assert!(!line.flags.is("watch", true));
        assert_eq!(line.flags.duration("timeout"), Some(std::time::Duration::from_secs(5)));
        assert_eq!(line.arguments, ["deploy/web"]);
    }

    #[test]
    fn letters_may_stand_together_and_two_dashes_end_the_flags() {
        let line = parsed("get pods -Aowide");
        assert!(line.flags.is("all-namespaces", false));
        assert_eq!(line.flags.text("output"), "wide");
        let line = parsed("create deployment d --image=a -- x --image=b");
        assert_eq!(line.arguments, ["d", "x", "--image=b"]);
        assert_eq!(line.dash, Some(1));
    }

    #[test]
    fn a_word_that_is_no_command_is_told_its_neighbours() {
        let failure = parse(&["gte".to_owned()]).expect_err("no command");
        assert_eq!(failure.text(), "error: unknown command \"gte\" for \"kubectl\"\n\nDid you mean this?\n\tget\n");
    }
}
