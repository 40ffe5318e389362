//! Validation of probes and of what runs when a container starts and stops.

use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};

use crate::api::check::{self, invalid_each, list, text};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// Which probe it is: they differ in what they allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeKind {
    /// Restarts the container.
    Liveness,
    /// Takes it out of Services.
    Readiness,
    /// Holds the other two back.
    Startup,
}

/// What a probe or a lifecycle hook does.
#[derive(Default)]
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

/// `validateLivenessProbe` and its two sisters. `grace_seconds` is the pod's grace period.
pub(super) fn validate_probe(
    errors: &mut ErrorList,
    path: &Path,
    kind: ProbeKind,
    probe: &Probe,
    grace_seconds: Option<i64>,
) {
    let handler = Handler {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep: None,
    };
    validate_handler(errors, path, &handler, grace_seconds);
    for (field, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        check::not_negative(errors, &path.child(field), i64::from(value.unwrap_or(0)));
    }
    let at = path.child("terminationGracePeriodSeconds");
    if let Some(seconds) = probe.termination_grace_period_seconds {
        if seconds <= 0 {
            errors.push(FieldError::invalid(&at, seconds, "must be greater than 0"));
        }
        if kind == ProbeKind::Readiness {
            errors.push(FieldError::invalid(&at, seconds, "must not be set for readinessProbes"));
        }
    }
    let successes = probe.success_threshold.unwrap_or(0);
    if kind != ProbeKind::Readiness && successes != 1 {
        errors.push(FieldError::invalid(&path.child("successThreshold"), successes, "must be 1"));
    }
}

/// `validateLifecycle`.
pub(super) fn validate_lifecycle(
    errors: &mut ErrorList,
    path: &Path,
    lifecycle: &Lifecycle,
    grace_seconds: Option<i64>,
) {
    for (field, handler) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        if let Some(handler) = handler {
            validate_handler(errors, &path.child(field), &of_lifecycle(handler), grace_seconds);
        }
    }
}

fn of_lifecycle(handler: &LifecycleHandler) -> Handler<'_> {
    Handler {
        exec: handler.exec.as_ref(),
        http_get: handler.http_get.as_ref(),
        tcp_socket: handler.tcp_socket.as_ref(),
        grpc: None,
        sleep: handler.sleep.as_ref(),
    }
}

fn validate_handler(errors: &mut ErrorList, path: &Path, handler: &Handler<'_>, grace_seconds: Option<i64>) {
    let named = [
        ("exec", handler.exec.is_some()),
        ("httpGet", handler.http_get.is_some()),
        ("tcpSocket", handler.tcp_socket.is_some()),
        ("grpc", handler.grpc.is_some()),
        ("sleep", handler.sleep.is_some()),
    ];
    let mut named = named.into_iter().filter(|(_, present)| *present).map(|(field, _)| field);
    let Some(first) = named.next() else {
        errors.push(FieldError::required(path, "must specify a handler type"));
        return;
    };
    let at = path.child(first);
    match first {
        "exec" => {
            if handler.exec.is_some_and(|exec| list(&exec.command).is_empty()) {
                errors.push(FieldError::required(&at.child("command"), ""));
            }
        }
        "httpGet" => handler.http_get.iter().for_each(|action| validate_http_get(errors, &at, action)),
        "tcpSocket" => {
            let action = handler.tcp_socket.iter();
            action.for_each(|action| check::port_number_or_name(errors, &at.child("port"), &action.port));
        }
        "grpc" => handler.grpc.iter().for_each(|action| check::port_number(errors, &at.child("port"), action.port)),
        _ => handler.sleep.iter().for_each(|action| validate_sleep(errors, &at, action, grace_seconds)),
    }
    for field in named {
        errors.push(FieldError::forbidden(&path.child(field), "may not specify more than 1 handler type"));
    }
}

fn validate_http_get(errors: &mut ErrorList, path: &Path, action: &HTTPGetAction) {
    check::required(errors, &path.child("path"), text(&action.path));
    check::port_number_or_name(errors, &path.child("port"), &action.port);
    check::supported(errors, &path.child("scheme"), text(&action.scheme), &["HTTP", "HTTPS"]);
    for header in list(&action.http_headers) {
        invalid_each(errors, &path.child("httpHeaders"), &header.name, names::is_http_header_name(&header.name));
    }
}

fn validate_sleep(errors: &mut ErrorList, path: &Path, action: &SleepAction, grace_seconds: Option<i64>) {
    // Without a grace period there is another error already.
    let Some(grace) = grace_seconds else { return };
    if action.seconds < 0 || action.seconds > grace {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.push(FieldError::invalid(path, action.seconds, detail));
    }
}
