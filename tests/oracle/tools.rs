//! The few tools of the recorder's machine that the engine's shell does not have, as far as cases use them.

use kubetab::machinery::diff::unified;
use kubetab::machinery::jsonpath::JsonPath;
use kubetab::machinery::shell::files::normalise;
use kubetab::machinery::shell::{CommandIo, CommandPoll, CommandRun, Input};
use kubetab::sim::{Cluster, NodeSpec, NodeTaint};
use serde_json::Value;

/// What a tool does with its arguments and its whole input: its output, or a complaint and an exit code.
type Work = fn(&mut CommandIo<'_>, &[String], &str) -> Result<String, (String, i32)>;

/// The tool of a name.
pub fn find(name: &str) -> Option<Box<dyn CommandRun>> {
    let (work, reads): (Work, bool) = match name {
        "awk" => (awk, true),
        "jq" => (jq, true),
        "diff" => (diff, true),
        "simulated-node" => (simulated_node, false),
        _ => return None,
    };
    Some(Box::new(Tool { work, reads, held: Vec::new() }))
}

/// A tool that reads all of its input before it does its work.
#[derive(Clone, Debug)]
struct Tool {
    work: Work,
    reads: bool,
    held: Vec<u8>,
}

impl CommandRun for Tool {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        while self.reads {
            match io.read(0, 1 << 16) {
                Input::Data(bytes) => self.held.extend(bytes),
                Input::Pending => return CommandPoll::Readable(0),
                Input::End => self.reads = false,
            }
        }
        let input = String::from_utf8_lossy(&self.held).into_owned();
        let arguments = io.arguments();
        match (self.work)(io, &arguments, &input) {
            Ok(text) => {
                io.out(&text);
                CommandPoll::Exited(0)
            }
            Err((text, code)) => {
                io.out(&text);
                CommandPoll::Exited(code)
            }
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// `awk '{print $1, $2}'`.
fn awk(_: &mut CommandIo<'_>, arguments: &[String], input: &str) -> Result<String, (String, i32)> {
    let unknown = || panic!("cases use awk to print fields only: {arguments:?}");
    let [program] = arguments else { unknown() };
    let Some(fields) = program.strip_prefix("{print ").and_then(|rest| rest.strip_suffix('}')) else { unknown() };
    let mut text = String::new();
    for line in input.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let field = |field: &str| {
            let at: usize = field.trim().strip_prefix('$').and_then(|at| at.parse().ok()).unwrap_or_else(|| unknown());
            words.get(at - 1).copied().unwrap_or("")
        };
        text.push_str(&fields.split(',').map(field).collect::<Vec<_>>().join(" "));
        text.push('\n');
    }
    Ok(text)
}

/// The program by which cases look at the owners of a Deployment's fields, without its controller's.
const OWNERS: &str = ".metadata.managedFields |= (map(select(.manager != \"kube-controller-manager\")) | sort_by(.manager, \
                      .operation, .subresource)) | del(.status, \
                      .metadata.annotations[\"deployment.kubernetes.io/revision\"])";

fn owners(mut value: Value) -> Value {
    let key = |entry: &Value| {
        ["manager", "operation", "subresource"].map(|field| entry[field].as_str().unwrap_or("").to_owned())
    };
    if let Some(entries) = value.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
        entries.retain(|entry| entry["manager"] != "kube-controller-manager");
        entries.sort_by_key(key);
    }
    value.as_object_mut().into_iter().for_each(|fields| drop(fields.shift_remove("status")));
    let annotations = value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    annotations.into_iter().for_each(|fields| drop(fields.shift_remove("deployment.kubernetes.io/revision")));
    value
}

/// `jq` with a list of paths, and the few other programs that cases have.
fn jq(_: &mut CommandIo<'_>, arguments: &[String], input: &str) -> Result<String, (String, i32)> {
    let program = arguments.iter().find(|argument| !argument.starts_with('-')).expect("a program");
    let value: Value = serde_json::from_str(input).map_err(|error| (format!("jq: {error}\n"), 2))?;
    if program == OWNERS {
        return Ok(format!("{}\n", owners(value)));
    }
    if program.starts_with("[.items[].spec | {ports:") {
        let specs = value["items"].as_array().into_iter().flatten().map(|item| {
            let mut ports = item["spec"]["ports"].clone();
            for port in ports.as_array_mut().into_iter().flatten() {
                port.as_object_mut().into_iter().for_each(|port| drop(port.shift_remove("nodePort")));
            }
            serde_json::json!({ "ports": ports, "selector": item["spec"]["selector"], "type": item["spec"]["type"] })
        });
        return Ok(format!("{}\n", specs.collect::<Value>()));
    }
    let find = |path: &str| {
        let path = JsonPath::parse(&format!("{{{path}}}")).expect("a path").allow_missing_keys(true);
        let found = path.find(&value).expect("a path that fits");
        found.into_iter().flatten().next().map_or(Value::Null, std::borrow::Cow::into_owned)
    };
    if !program.starts_with('[') {
        return Ok(format!("{}\n", find(program)));
    }
    let paths = program.trim_start_matches('[').trim_end_matches(']').split(',').map(str::trim);
    let list: Value = paths.map(find).collect();
    Ok(format!("{list}\n"))
}

/// `diff FILE -`.
fn diff(io: &mut CommandIo<'_>, arguments: &[String], input: &str) -> Result<String, (String, i32)> {
    let directory = io.process.directory.clone();
    let mut texts = arguments.iter().map(|path| {
        if path == "-" {
            return input.to_owned();
        }
        let path = normalise(path, &directory);
        let bytes = io.files(|files| files.read(&path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let (old, new) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    if old == new { Ok(String::new()) } else { Err((unified(&old, &new), 1)) }
}

/// `simulated-node add NAME INDEX [--labels …]`, which also brings a machine back, and `stop NAME`.
fn simulated_node(io: &mut CommandIo<'_>, arguments: &[String], _: &str) -> Result<String, (String, i32)> {
    let flag = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let pairs = |name: &str| -> Vec<(String, String)> {
        let given = flag(name).unwrap_or_default();
        let pairs = given.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (action, name) = (arguments[0].as_str(), arguments[1].clone());
    let taints = pairs("--taints").into_iter().map(|(key, value)| {
        let (value, effect) = value.rsplit_once(':').unwrap_or(("", &value));
        NodeTaint { key, value: value.to_owned(), effect: effect.to_owned() }
    });
    let mut capacity: std::collections::BTreeMap<String, String> = pairs("--extended-resources").into_iter().collect();
    for (resource, argument, default) in
        [("cpu", "--cpu", "4"), ("memory", "--memory", "8Gi"), ("pods", "--max-pods", "110")]
    {
        capacity.insert(resource.to_owned(), flag(argument).unwrap_or_else(|| default.to_owned()));
    }
    let spec = NodeSpec {
        name: name.clone(),
        labels: pairs("--labels").into_iter().collect(),
        taints: taints.collect(),
        capacity,
        ..NodeSpec::default()
    };
    let world = io.host.world().expect("there is a cluster");
    let cluster = world.downcast_mut::<Cluster>().expect("it is a cluster");
    let done = match action {
        "stop" => cluster.stop_node(&name),
        _ => cluster.add_node(&spec),
    };
    done.map(|()| String::new()).map_err(|error| (format!("{error}\n"), 1))
}
