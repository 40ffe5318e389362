//! The commands with their flags.

use super::cli::Step;
use super::command::Command;
use super::flags::Flag;
use super::{
    apply, auth, config, create, delete, describe, drain, environment, expose, generate, generate_access, generate_jobs,
    generate_policy, get, history, label, logs, patch, replace, rollout, rollout_status, scale, set, taint, wait,
};

/// The flags of every command that mean something here, and those that are taken without meaning.
pub(super) const GLOBAL: &[Flag] = &[
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
pub(super) static ROOT: Command = Command::new("kubectl", |_| Ok(Step::Done)).commands(&[
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
    Command::new("describe", describe::run).flags(&[
        FILENAME,
        SELECTOR,
        ALL_NAMESPACES,
        &[Flag::switch("show-events"), Flag::integer("chunk-size")],
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

