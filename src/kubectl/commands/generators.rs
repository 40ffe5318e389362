//! The commands below `create`.

use super::groups::{CREATE, PRINT, ROLE, SERVICE, SUBJECTS};
use crate::kubectl::command::Command;
use crate::kubectl::flags::Flag;
use crate::kubectl::{
    generate, generate_access, generate_ingress, generate_jobs, generate_policy, generate_secrets, help,
};

/// The generators.
pub(super) const CREATE_COMMANDS: &[Command] = &[
    Command::new("clusterrole", generate_access::cluster_role)
        .flags(CREATE)
        .and(&[ROLE, &[Flag::texts("non-resource-url"), Flag::map("aggregation-rule")]]),
    Command::new("clusterrolebinding", generate_access::cluster_role_binding).flags(CREATE).and(&[SUBJECTS]),
    Command::new("configmap", generate_secrets::config_map).aliases(&["cm"]).flags(CREATE).and(&[&[
        Flag::text("from-literal"),
        Flag::text("from-file"),
        Flag::text("from-env-file"),
        Flag::switch("append-hash"),
    ]]),
    Command::new("deployment", generate::deployment).aliases(&["deploy"]).flags(CREATE).and(&[&[
        Flag::texts("image"),
        Flag::integer("port"),
        Flag::integer("replicas").short('r'),
    ]]),
    Command::new("cronjob", generate_jobs::cron_job).aliases(&["cj"]).flags(CREATE).and(&[&[
        Flag::text("image"),
        Flag::text("schedule"),
        Flag::text("restart"),
    ]]),
    Command::new("job", generate_jobs::job).flags(CREATE).and(&[&[Flag::text("image"), Flag::text("from")]]),
    Command::new("namespace", generate::namespace).aliases(&["ns"]).flags(CREATE),
    Command::new("poddisruptionbudget", generate_policy::budget).aliases(&["pdb"]).flags(CREATE).and(&[&[
        Flag::text("min-available"),
        Flag::text("max-unavailable"),
        Flag::text("selector"),
    ]]),
    Command::new("priorityclass", generate_policy::priority_class).aliases(&["pc"]).flags(CREATE).and(&[&[
        Flag::integer("value"),
        Flag::switch("global-default"),
        Flag::text("description"),
        Flag::text("preemption-policy"),
    ]]),
    Command::new("quota", generate_policy::quota)
        .aliases(&["resourcequota"])
        .flags(CREATE)
        .and(&[&[Flag::text("hard"), Flag::text("scopes")]]),
    Command::new("role", generate_access::role).flags(CREATE).and(&[ROLE]),
    Command::new("rolebinding", generate_access::role_binding).flags(CREATE).and(&[SUBJECTS, &[Flag::text("role")]]),
    Command::new("ingress", generate_ingress::run).aliases(&["ing"]).flags(CREATE).and(&[&[
        Flag::text("class"),
        Flag::text("rule"),
        Flag::text("default-backend"),
        Flag::text("annotation"),
    ]]),
    Command::new("secret", help::group).commands(&[
        Command::new("docker-registry", generate_secrets::docker_registry).flags(CREATE).and(&[&[
            Flag::text("docker-username"),
            Flag::text("docker-password"),
            Flag::text("docker-email"),
            Flag::text("docker-server"),
            Flag::text("from-file"),
            Flag::switch("append-hash"),
        ]]),
        Command::new("generic", generate_secrets::generic).flags(CREATE).and(&[&[
            Flag::text("from-literal"),
            Flag::text("from-file"),
            Flag::text("from-env-file"),
            Flag::text("type"),
            Flag::switch("append-hash"),
        ]]),
        Command::new("tls", generate_secrets::tls).flags(CREATE).and(&[&[
            Flag::text("cert"),
            Flag::text("key"),
            Flag::switch("append-hash"),
        ]]),
    ]),
    Command::new("service", help::group).aliases(&["svc"]).commands(&[
        Command::new("clusterip", generate::service_cluster_ip).flags(CREATE).and(SERVICE),
        Command::new("nodeport", generate::service_node_port).flags(CREATE).and(SERVICE),
        Command::new("loadbalancer", generate::service_load_balancer).flags(CREATE).and(SERVICE),
        Command::new("externalname", generate::service_external_name).flags(CREATE).and(SERVICE),
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
