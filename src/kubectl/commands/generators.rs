//! The commands below `create`.

use super::groups::{CREATE, DRY_RUN, MANAGER, PRINT, ROLE, SERVICE, SUBJECTS, VALIDATE};
use crate::kubectl::command::Command;
use crate::kubectl::flags::Flag;
use crate::kubectl::{
    generate, generate_access, generate_ingress, generate_jobs, generate_policy, generate_secrets, help,
};

/// The generators.
pub(super) const CREATE_COMMANDS: &[Command] = &[
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
    Command::new("configmap", generate_secrets::config_map).aliases(&["cm"]).flags(&[
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
    Command::new("ingress", generate_ingress::run).aliases(&["ing"]).flags(&[
        PRINT,
        DRY_RUN,
        MANAGER,
        VALIDATE,
        &[
            Flag::text("class"),
            Flag::text("rule"),
            Flag::text("default-backend"),
            Flag::text("annotation"),
            Flag::switch("save-config"),
        ],
    ]),
    Command::new("secret", help::group).commands(&[
        Command::new("docker-registry", generate_secrets::docker_registry).flags(&[
            PRINT,
            DRY_RUN,
            MANAGER,
            VALIDATE,
            &[
                Flag::text("docker-username"),
                Flag::text("docker-password"),
                Flag::text("docker-email"),
                Flag::text("docker-server"),
                Flag::text("from-file"),
                Flag::switch("append-hash"),
                Flag::switch("save-config"),
            ],
        ]),
        Command::new("generic", generate_secrets::generic).flags(&[
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
        ]),
        Command::new("tls", generate_secrets::tls).flags(&[
            PRINT,
            DRY_RUN,
            MANAGER,
            VALIDATE,
            &[Flag::text("cert"), Flag::text("key"), Flag::switch("append-hash"), Flag::switch("save-config")],
        ]),
    ]),
    Command::new("service", help::group).aliases(&["svc"]).commands(&[
        Command::new("clusterip", generate::service_cluster_ip).flags(SERVICE),
        Command::new("nodeport", generate::service_node_port).flags(SERVICE),
        Command::new("loadbalancer", generate::service_load_balancer).flags(SERVICE),
        Command::new("externalname", generate::service_external_name).flags(SERVICE),
    ]),
    Command::new("serviceaccount", generate::service_account).aliases(&["sa"]).flags(CREATE),
    Command::new("token", generate_access::token).flags(&[
        PRINT,
        &[
            Flag::text("audience"),
            Flag::text("duration"),
            Flag::text("bound-object-name"),
            Flag::text("bound-object-kind"),
            Flag::text("bound-object-uid"),
        ],
    ]),
];
