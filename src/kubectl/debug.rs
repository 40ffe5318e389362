//! `kubectl debug`: an ephemeral container in a pod, a copy of a pod, or a pod that looks at a node.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/debug`. Profiles change what upstream lets them change, as far as
//! containers here can tell.

use serde_json::{Value, json};

use super::attach;
use super::builder::{self, Info, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::generate::command;
use crate::api::core::pod::image::is_reference;
use crate::api::{Kind, ObjectKey, Subresource};
use crate::apiserver::Patch;
use crate::machinery::{patch, schema, yaml};

/// Where a node's files are in a pod that looks at it.
const HOST: &str = "/host";

/// Runs `kubectl debug`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let before = cli.parsed.dash.unwrap_or(cli.arguments().len());
    let words = &cli.arguments()[..before];
    check_profile(cli)?;
    check(cli, words.is_empty())?;
    let named: Vec<String> =
        words.iter().map(|word| if word.contains('/') { word.clone() } else { format!("pods/{word}") }).collect();
    let found = builder::find(cli, Query { selects: false, ..Query::new(&named) })?;
    let mut made = Vec::new();
    found.each(cli, |cli, info| {
        made.push(match info.kind {
            Kind::Node => on_node(cli, &info)?,
            Kind::Pod if cli.flags().has("copy-to") => copy(cli, &info)?,
            Kind::Pod => in_pod(cli, &info)?,
            other => {
                let info = other.info();
                let group = format!("{}/{}, Kind={}", info.group, info.version, info.kind);
                return Err(Failure::Message(format!("{group:?} not supported by debug")));
            }
        });
        Ok(())
    })?;
    match made.pop() {
        Some((pod, container)) if attach::is_asked_for(cli) && !container.is_empty() => {
            attach::begin(cli, pod, &container, None)
        }
        _ => Ok(Step::Done),
    }
}

/// What does not go together: `Validate`.
fn check(cli: &Cli<'_>, is_unnamed: bool) -> Result<(), Failure> {
    let flags = cli.flags();
    let (image, is_copy) = (flags.text("image"), flags.has("copy-to"));
    let has_command = !command(cli).is_empty();
    let wrong = if is_copy && image.is_empty() && !flags.has("set-image") && !has_command {
        "you must specify --image, --set-image or command arguments."
    } else if is_copy && has_command && flags.text("container").is_empty() && image.is_empty() {
        "you must specify an existing container or a new image when specifying args."
    } else if !is_copy && flags.is("replace", false) {
        "--replace may only be used with --copy-to."
    } else if !is_copy && flags.is("same-node", false) {
        "--same-node may only be used with --copy-to."
    } else if !is_copy && flags.has("set-image") {
        "--set-image may only be used with --copy-to."
    } else if !is_copy && image.is_empty() {
        "you must specify --image when not using --copy-to."
    } else if is_unnamed && !flags.has("filename") {
        "NAME or filename is required for debug"
    } else if flags.has("target") && is_copy {
        "--target is incompatible with --copy-to. Use --share-processes instead."
    } else if flags.is("tty", false) && !flags.is("stdin", false) {
        "-i/--stdin is required for containers with -t/--tty=true"
    } else if !image.is_empty() && !is_reference(image) {
        return Err(Failure::Message(format!("invalid image name {image:?}: invalid reference format")));
    } else if !matches!(flags.text("image-pull-policy"), "" | "Always" | "IfNotPresent" | "Never") {
        return Err(Failure::Message(format!("invalid image pull policy: {}", flags.text("image-pull-policy"))));
    } else {
        return Ok(());
    };
    Err(Failure::message(wrong))
}

/// Five letters that nobody has used yet, from the time and the name.
pub(super) fn suffix(cli: &Cli<'_>, name: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let seed = format!("{}{name}{}", cli.api.now().to_rfc3339_micro(), cli.api.revision());
    let mut hash = seed
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut letters = String::new();
    for _ in 0..5 {
        letters.push(char::from(LETTERS[(hash % LETTERS.len() as u64) as usize]));
        hash /= LETTERS.len() as u64;
    }
    letters
}

/// The container that looks, under the name that was given or one of its own.
fn debugger(cli: &mut Cli<'_>, of: &str) -> Value {
    let flags = cli.flags();
    let mut name = flags.text("container").to_owned();
    if name.is_empty() {
        name = format!("debugger-{}", suffix(cli, of));
        if !flags.is("quiet", false) {
            cli.say(&format!("Defaulting debug container name to {name}."));
        }
    }
    looking(cli, &name)
}

fn looking(cli: &Cli<'_>, name: &str) -> Value {
    let flags = cli.flags();
    let mut container = json!({
        "name": name,
        "image": flags.text("image"),
        "terminationMessagePolicy": "File",
        "resources": {},
    });
    for (flag, field) in [("stdin", "stdin"), ("tty", "tty")] {
        if flags.is(flag, false) {
            container[field] = true.into();
        }
    }
    if !flags.text("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = flags.text("image-pull-policy").into();
    }
    let command = command(cli);
    if !command.is_empty() {
        container[if flags.is("arguments-only", false) { "args" } else { "command" }] = command.into();
    }
    let env: Vec<Value> = flags
        .all("env")
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    if !env.is_empty() {
        container["env"] = env.into();
    }
    container
}

/// An ephemeral container in a pod that runs: `debugByEphemeralContainer`.
fn in_pod(cli: &mut Cli<'_>, info: &Info) -> Result<(ObjectKey, String), Failure> {
    let mut container = debugger(cli, &info.name);
    let name = container["name"].as_str().unwrap_or("").to_owned();
    profile(cli, &mut container, Kind::Pod)?;
    let target = cli.flags().text("target");
    if !target.is_empty() {
        container["targetContainerName"] = target.into();
        if !cli.flags().is("quiet", false) {
            cli.say(&format!(
                "Targeting container {target:?}. If you don't see processes from this container it may be because the \
                 container runtime doesn't support this feature."
            ));
        }
    }
    let mut pod = info.object.clone();
    let mut all = pod["spec"]["ephemeralContainers"].as_array().cloned().unwrap_or_default();
    all.push(container);
    pod["spec"]["ephemeralContainers"] = all.into();
    let changes = super::set::changes(Kind::Pod, &info.object, &pod)?.unwrap_or_default();
    let options = cli.write_options("kubectl-debug");
    let target = info.target().below(Subresource::EphemeralContainers);
    cli.patch(target, Patch::Strategic(changes), options)?;
    Ok((info.key(), name))
}

/// A copy of a pod with a container more, or with other images: `debugByCopy`.
fn copy(cli: &mut Cli<'_>, info: &Info) -> Result<(ObjectKey, String), Failure> {
    let flags = cli.flags();
    let metadata = &info.object["metadata"];
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": flags.text("copy-to"), "namespace": info.namespace },
        "spec": info.object["spec"],
    });
    if !metadata["annotations"].is_null() {
        pod["metadata"]["annotations"] = metadata["annotations"].clone();
    }
    if flags.is("keep-labels", false) && !metadata["labels"].is_null() {
        pod["metadata"]["labels"] = metadata["labels"].clone();
    }
    if let Some(spec) = pod["spec"].as_object_mut() {
        spec.shift_remove("ephemeralContainers");
        if !flags.is("same-node", false) {
            spec.shift_remove("nodeName");
        }
    }
    if flags.is("share-processes", true) {
        pod["spec"]["shareProcessNamespace"] = true.into();
    }
    for pair in flags.texts("set-image") {
        let (wanted, image) = pair.split_once('=').unwrap_or((&pair, ""));
        for container in pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten() {
            if wanted == "*" || container["name"] == wanted {
                container["image"] = image.into();
            }
        }
    }
    for container in pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = container.as_object_mut() {
            // Who looks does not want to be restarted.
            for (probe, kept) in [
                ("livenessProbe", "keep-liveness"),
                ("readinessProbe", "keep-readiness"),
                ("startupProbe", "keep-startup"),
            ] {
                if !flags.is(kept, false) {
                    fields.shift_remove(probe);
                }
            }
        }
    }
    let mut looking_at = flags.text("container").to_owned();
    if flags.has("image") {
        let wanted = flags.text("container").to_owned();
        let containers = pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
        let known = containers.and_then(|list| list.iter_mut().find(|known| known["name"] == *wanted));
        if let Some(known) = known {
            known["image"] = flags.text("image").into();
            let command = command(cli);
            if !command.is_empty() {
                known["command"] = command.into();
            }
        } else {
            let mut added = debugger(cli, &info.name);
            profile(cli, &mut added, Kind::Pod)?;
            added["name"].as_str().unwrap_or("").clone_into(&mut looking_at);
            if let Some(list) = pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut) {
                list.push(added);
            }
        }
    }
    let options = cli.write_options("kubectl-debug");
    cli.create(Kind::Pod, &info.namespace, pod, options)?;
    if flags.is("replace", false) {
        cli.delete(Kind::Pod, &info.namespace, &info.name, crate::apiserver::DeleteOptions::default())?;
    }
    Ok((ObjectKey::new(info.namespace.as_str(), flags.text("copy-to")), looking_at))
}

/// A pod on a node that sees the node's files, network and processes: `generateNodeDebugPod`.
fn on_node(cli: &mut Cli<'_>, info: &Info) -> Result<(ObjectKey, String), Failure> {
    let name = format!("node-debugger-{}-{}", info.name, suffix(cli, &info.name));
    if !cli.flags().is("quiet", false) {
        cli.say(&format!("Creating debugging pod {name} with container debugger on node {}.", info.name));
    }
    let mut container = looking(cli, "debugger");
    let profiled = cli.flags().text("profile");
    let sees_files = !matches!(profiled, "baseline" | "restricted" | "netadmin");
    if sees_files {
        container["volumeMounts"] = json!([{ "mountPath": HOST, "name": "host-root" }]);
    }
    profile(cli, &mut container, Kind::Node)?;
    let namespace = cli.namespace();
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "kubectl-debug" } },
        "spec": {
            "containers": [container],
            "nodeName": info.name,
            "restartPolicy": "Never",
            "tolerations": [{ "operator": "Exists" }],
        },
    });
    if !matches!(profiled, "baseline" | "restricted") {
        for field in ["hostIPC", "hostNetwork", "hostPID"] {
            pod["spec"][field] = true.into();
        }
    }
    if sees_files {
        pod["spec"]["volumes"] = json!([{ "hostPath": { "path": "/" }, "name": "host-root" }]);
    }
    let options = cli.write_options("kubectl-debug");
    cli.create(Kind::Pod, &namespace, pod, options)?;
    Ok((ObjectKey::new(namespace.as_str(), name.as_str()), "debugger".to_owned()))
}

/// The profiles of `--profile`.
const PROFILES: [&str; 6] = ["legacy", "general", "baseline", "netadmin", "restricted", "sysadmin"];

fn check_profile(cli: &Cli<'_>) -> Result<(), Failure> {
    let named = cli.flags().text("profile");
    if named.is_empty() || PROFILES.contains(&named) {
        return Ok(());
    }
    Err(Failure::Message(format!("unknown profile: {named}")))
}

/// What a profile lets the container that looks do, and what `--custom` puts over that: `ProfileApplier`.
fn profile(cli: &mut Cli<'_>, container: &mut Value, on: Kind) -> Result<(), Failure> {
    let adds = |names: &[&str]| json!({ "capabilities": { "add": names } });
    let context = match cli.flags().text("profile") {
        "general" if on == Kind::Pod => adds(&["SYS_PTRACE"]),
        "netadmin" => adds(&["NET_ADMIN", "NET_RAW"]),
        "sysadmin" => json!({ "privileged": true }),
        "restricted" => json!({
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        }),
        _ => Value::Null,
    };
    if !context.is_null() {
        container["securityContext"] = context;
    }
    if cli.flags().has("custom") {
        let custom = custom(cli)?;
        let schema = schema::named("core", "Container").ok_or_else(|| Failure::message("containers have no schema"))?;
        let changed = patch::strategic::apply(std::mem::take(container), custom, schema);
        *container = changed.map_err(|error| Failure::message(error.message()))?;
    }
    Ok(())
}

/// The part of a container that a file holds, which says nothing of what makes the container another.
fn custom(cli: &mut Cli<'_>) -> Result<Value, Failure> {
    let path = cli.flags().text("custom").to_owned();
    let bytes = cli.files.read(&path).map_err(|why| Failure::Message(format!("open {path}: {why}")))?;
    let custom = yaml::read_one(&String::from_utf8_lossy(&bytes))
        .map_err(|error| Failure::Message(format!("{path}: {}", error.message)))?
        .value;
    if ["name", "command", "image", "lifecycle", "volumeDevices"].iter().any(|field| !custom[*field].is_null()) {
        return Err(Failure::message(
            "name, command, image, lifecycle and volume devices are not modifiable via custom profile",
        ));
    }
    Ok(custom)
}
