//! Generators: `kubectl create KIND` and `kubectl run`, for kinds that the API server serves.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/create` and `pkg/cmd/run`.

use serde_json::{Map, Value, json};

use super::apply::remember_applied;
use super::attach;
use super::cli::{Cli, DryRun, Step};
use super::create::create_object;
use super::exec;
use super::failure::Failure;
use super::printer::Printer;
use crate::api::core::pod::image::is_reference;
use crate::api::{Kind, Object, form};
use crate::machinery::{patch, schema, yaml};

/// The value as its type has it: fields that Go writes even when they are empty are there.
pub(super) fn typed(kind: Kind, mut value: Value) -> Result<Value, Failure> {
    form::tidy(kind, &mut value);
    let object = Object::from_value(kind, &value).map_err(|error| Failure::Message(error.to_string()))?;
    Ok(form::encode(&object))
}

/// The value with what `--overrides` puts over it.
pub(super) fn overridden(cli: &Cli<'_>, kind: Kind, value: Value) -> Result<Value, Failure> {
    let overrides = cli.flags().text("overrides");
    if overrides.is_empty() {
        return Ok(value);
    }
    let invalid = || Failure::message("Invalid JSON Patch");
    if !matches!(cli.flags().text("override-type"), "" | "merge" | "json" | "strategic") {
        return Err(Failure::Message(format!("invalid override type: {}", cli.flags().text("override-type"))));
    }
    let overrides = yaml::read_one(overrides).map_err(|_| invalid())?;
    let changed = match cli.flags().text("override-type") {
        "" | "merge" => patch::merge::apply(value, overrides.value),
        "json" => patch::json::decode(&overrides.value).and_then(|operations| patch::json::apply(value, &operations)),
        _ => {
            let schema = schema::lookup(&kind.api_version(), kind.info().kind)
                .ok_or_else(|| Failure::message("the kind has no schema"))?;
            patch::strategic::apply(value, overrides.value, schema)
        }
    };
    changed.map_err(|_| invalid())
}

/// The name that a generator is given; exactly one.
pub(super) fn name<'a>(cli: &Cli<'a>) -> Result<&'a str, Failure> {
    let before_dash = cli.parsed.dash.unwrap_or(cli.arguments().len());
    match &cli.arguments()[..before_dash] {
        [name] => Ok(name),
        words => Err(cli.usage(&format!("exactly one NAME is required, got {}", words.len()))),
    }
}

/// The words behind `--`.
pub(super) fn command<'a>(cli: &Cli<'a>) -> &'a [String] {
    cli.parsed.dash.map_or(&[], |dash| &cli.arguments()[dash..])
}

pub(super) fn make(cli: &mut Cli<'_>, kind: Kind, value: Value) -> Result<Step, Failure> {
    let what = match kind {
        Kind::PodDisruptionBudget => kind.info().plural.to_owned(),
        Kind::ResourceQuota => "quota".to_owned(),
        Kind::ServiceAccount => "serviceaccount".to_owned(),
        kind => kind.info().singular.to_owned(),
    };
    let object = typed(kind, value)?;
    create_object(cli, kind, object, &what)
}

/// Runs `kubectl create namespace`.
pub(super) fn namespace(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let value = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name(cli)? } });
    make(cli, Kind::Namespace, value)
}

/// Runs `kubectl create serviceaccount`.
pub(super) fn service_account(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let value = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name(cli)? } });
    make(cli, Kind::ServiceAccount, value)
}

/// Runs `kubectl create deployment`.
pub(super) fn deployment(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if !flags.has("image") {
        return Err(Failure::message("required flag(s) \"image\" not set"));
    }
    let name = name(cli)?;
    let (images, command) = (flags.texts("image"), command(cli));
    if images.len() > 1 && !command.is_empty() {
        return Err(Failure::message("cannot specify multiple --image options and command"));
    }
    let replicas = flags.integer("replicas").unwrap_or(1);
    let containers: Vec<Value> = images
        .iter()
        .map(|image| {
            let mut container = json!({ "name": container_name(image, &images), "image": image, "resources": {} });
            if !command.is_empty() {
                container["command"] = command.into();
            }
            if let Some(port) = flags.integer("port").filter(|port| *port >= 0) {
                container["ports"] = json!([{ "containerPort": port }]);
            }
            container
        })
        .collect();
    let labels = json!({ "app": name });
    let value = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": containers } },
        },
    });
    make(cli, Kind::Deployment, value)
}

/// The container's name that follows from its image; images of one name are told apart.
fn container_name(image: &str, images: &[String]) -> String {
    let plain = |image: &str| {
        let last = image.rsplit('/').next().unwrap_or(image);
        let name = last.split([':', '@']).next().unwrap_or(last);
        name.replace('_', "-").to_lowercase()
    };
    let name = plain(image);
    let same = images.iter().take_while(|other| *other != image).filter(|other| plain(other) == name).count();
    if same == 0 { name } else { format!("{name}-{same}") }
}

/// Runs `kubectl create service clusterip`.
pub(super) fn service_cluster_ip(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let headless = cli.flags().text("clusterip") == "None";
    make_service(cli, "ClusterIP", headless)
}

/// Runs `kubectl create service nodeport`.
pub(super) fn service_node_port(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    make_service(cli, "NodePort", false)
}

/// Runs `kubectl create service loadbalancer`.
pub(super) fn service_load_balancer(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    make_service(cli, "LoadBalancer", false)
}

/// Runs `kubectl create service externalname`.
pub(super) fn service_external_name(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if !cli.flags().has("external-name") {
        return Err(Failure::message("required flag(s) \"external-name\" not set"));
    }
    make_service(cli, "ExternalName", true)
}

fn make_service(cli: &mut Cli<'_>, service_type: &str, may_lack_ports: bool) -> Result<Step, Failure> {
    let flags = cli.flags();
    let name = name(cli)?;
    let ports: Vec<Value> = flags.texts("tcp").iter().map(|text| service_port(text)).collect::<Result<_, _>>()?;
    if ports.is_empty() && !may_lack_ports {
        return Err(Failure::message("at least one tcp port specifier must be provided"));
    }
    let mut spec = json!({ "type": service_type, "selector": { "app": name } });
    if !ports.is_empty() {
        spec["ports"] = ports.into();
    }
    if let Some(port) = flags.integer("node-port").filter(|port| *port > 0) {
        for entry in spec["ports"].as_array_mut().into_iter().flatten() {
            entry["nodePort"] = port.into();
        }
    }
    for (flag, field) in [("clusterip", "clusterIP"), ("external-name", "externalName")] {
        if flags.has(flag) {
            spec[field] = flags.text(flag).into();
        }
    }
    let value = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": spec,
    });
    make(cli, Kind::Service, value)
}

/// `80`, `80:8080` or `80:http`.
fn service_port(text: &str) -> Result<Value, Failure> {
    let mut parts = text.split(':');
    let port = parts.next().unwrap_or("");
    let target = parts.next().unwrap_or(port);
    let number = |text: &str| {
        text.parse::<u16>().map_err(|_| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let why = if is_number { "value out of range" } else { "invalid syntax" };
            Failure::Message(format!("strconv.ParseUint: parsing {text:?}: {why}"))
        })
    };
    let port = number(port)?;
    let target = target.parse::<u16>().map_or_else(|_| Value::from(target), Value::from);
    Ok(json!({ "name": text.replace(':', "-"), "port": port, "protocol": "TCP", "targetPort": target }))
}

/// `a=b,c=d`: `ParseLabels`.
pub(super) fn parse_labels(text: &str) -> Result<Map<String, Value>, Failure> {
    let pair = |pair: &str| match pair.split('=').collect::<Vec<_>>()[..] {
        [key, value] if !key.is_empty() => Ok((key.to_owned(), Value::from(value))),
        _ => Err(Failure::Message(format!("unexpected label spec: {pair}"))),
    };
    text.split(',').map(pair).collect()
}

/// A port as Go's `strconv.Atoi` reads it.
pub(super) fn port_number(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::Message(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
}

/// Runs `kubectl run`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if !flags.has("image") {
        return Err(Failure::message("required flag(s) \"image\" not set"));
    }
    let Some((name, words)) = cli.arguments().split_first() else {
        return Err(cli.usage("NAME is required for run"));
    };
    let image = flags.text("image");
    if image.is_empty() {
        return Err(Failure::message("--image is required"));
    }
    if !is_reference(image) {
        return Err(Failure::Message(format!("Invalid image name {image:?}: invalid reference format")));
    }
    if flags.is("expose", false) && flags.text("port").is_empty() {
        return Err(cli.usage("--port must be set when exposing a service"));
    }
    let restart = match flags.text("restart") {
        "" => "Always",
        known @ ("Always" | "OnFailure" | "Never") => known,
        other => return Err(cli.usage(&format!("invalid restart policy: {other}"))),
    };
    if !matches!(flags.text("image-pull-policy"), "" | "Always" | "IfNotPresent" | "Never") {
        return Err(cli.usage(&format!("invalid image pull policy: {}", flags.text("image-pull-policy"))));
    }
    let (stdin, tty) = (flags.is("stdin", false), flags.is("tty", false));
    if tty && !stdin {
        return Err(cli.usage("-i/--stdin is required for containers with -t/--tty=true"));
    }
    let attaches = attach::is_asked_for(cli);
    if flags.is("rm", false) && !attaches {
        return Err(cli.usage("--rm should only be used for attached containers"));
    }
    if attaches && cli.dry_run()? != DryRun::No {
        return Err(cli.usage(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        ));
    }
    let mut container = json!({ "name": name, "image": image, "resources": {} });
    if stdin {
        container["stdin"] = true.into();
        if !flags.is("leave-stdin-open", false) {
            container["stdinOnce"] = true.into();
        }
    }
    if tty {
        container["tty"] = true.into();
    }
    if !words.is_empty() {
        container[if flags.is("command", false) { "command" } else { "args" }] = words.into();
    }
    if flags.has("port") {
        let port = port_number(flags.text("port"))?;
        container["ports"] = json!([{ "containerPort": port }]);
    }
    let variables: Vec<Value> = flags
        .all("env")
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| Failure::Message(format!("invalid env: {pair}")))?;
            Ok(json!({ "name": name, "value": value }))
        })
        .collect::<Result<_, Failure>>()?;
    if !variables.is_empty() {
        container["env"] = variables.into();
    }
    if flags.has("image-pull-policy") {
        container["imagePullPolicy"] = flags.text("image-pull-policy").into();
    }
    if flags.has("privileged") {
        container["securityContext"] = json!({ "privileged": flags.is("privileged", false) });
    }
    let labels: Map<String, Value> = if flags.has("labels") {
        parse_labels(flags.text("labels"))?
    } else {
        Map::from_iter([("run".to_owned(), Value::from(name.as_str()))])
    };
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": labels.clone() },
        "spec": { "containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": restart },
    });
    for pair in flags.all("annotations") {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::Message(format!("invalid annotations format: {pair}")));
        };
        pod["metadata"]["annotations"][key] = value.into();
    }
    let object = typed(Kind::Pod, overridden(cli, Kind::Pod, pod)?)?;
    let mut printer = Printer::of(cli, "created")?.typed();
    let object = run_object(cli, Kind::Pod, object)?;
    if cli.flags().is("expose", false) {
        let service = service_of(cli, name, &labels)?;
        let service = run_object(cli, Kind::Service, service)?;
        printer.print(cli, &service)?;
        if cli.flags().text("output") == "yaml" {
            cli.say("---");
        }
    }
    if attaches {
        let ending = attach::Ending::of_run(cli, &object);
        return attach::begin(cli, exec::key_of(&object), name, Some(ending));
    }
    printer.print(cli, &object)?;
    Ok(Step::Done)
}

fn run_object(cli: &mut Cli<'_>, kind: Kind, mut object: Value) -> Result<Value, Failure> {
    if cli.flags().is("save-config", false) {
        remember_applied(&mut object);
    }
    if cli.dry_run()? == DryRun::Client {
        return Ok(object);
    }
    let (namespace, options) = (cli.namespace(), cli.write_options("kubectl-run"));
    Ok(cli.create(kind, &namespace, object, options)?)
}

/// The Service of `--expose`, which selects the pod by its labels: `generateService`.
fn service_of(cli: &Cli<'_>, name: &str, labels: &Map<String, Value>) -> Result<Value, Failure> {
    let mut metadata = json!({ "name": name });
    if cli.flags().has("labels") {
        metadata["labels"] = labels.clone().into();
    }
    let port = port_number(cli.flags().text("port"))?;
    let value = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": { "ports": [{ "port": port, "protocol": "TCP", "targetPort": port }], "selector": labels },
    });
    typed(Kind::Service, value)
}
