//! What the user did, in words.

use crate::apiserver::Call;
use crate::session::{Action, Disturbance};
use crate::sim::ComponentFault;

use super::{Sentence, Subject};

/// An action as a sentence, and the object that it is about.
#[must_use]
pub fn describe(action: &Action) -> (Sentence, Option<Subject>) {
    let node =
        |template: &str, name: &str| (Sentence::new(template, [name.to_owned()]), Some(Subject::new("Node", "", name)));
    let pod = |template: &str, namespace: &str, name: &str| {
        (Sentence::new(template, [name.to_owned()]), Some(Subject::new("Pod", namespace, name)))
    };
    let object = |template: &str, object: &crate::session::ObjectName| {
        let subject = Subject::new(&*object.kind, &*object.namespace, &*object.name);
        (Sentence::new(template, [object.kind.clone(), object.name.clone()]), Some(subject))
    };
    match action {
        Action::Apply { files, .. } => {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            (Sentence::new("You applied {}.", [names.join(", ")]), None)
        }
        Action::Delete { object: name, .. } => object("You deleted {} {}.", name),
        Action::Scale { object: name, replicas } => {
            let (mut sentence, subject) = object("You scaled {} {} to {}.", name);
            sentence.values.push(replicas.to_string());
            (sentence, subject)
        }
        Action::Patch { object: name, .. } => object("You changed {} {}.", name),
        Action::Request(call) => (Sentence::new("You ran {}.", [said(call)]), None),
        Action::AddNode(spec) => node("You added the node {}.", &spec.name),
        Action::RemoveNode(name) => node("You took the node {} away.", &name.name),
        Action::SetNodeGroup(spec) => {
            let values = [spec.name.clone(), spec.min.to_string(), spec.max.to_string()];
            (Sentence::new("You set up the node group {}: {} to {} nodes.", values), None)
        }
        Action::RemoveNodeGroup(group) => (Sentence::new("You gave the node group {} up.", [group.name.clone()]), None),
        Action::StopNode(name) => node("You cut the power of {}.", &name.name),
        Action::ShutdownNode(shutdown) => node("You shut {} down.", &shutdown.name),
        Action::WriteManifest { node: name, file, .. } => {
            let (mut sentence, subject) = node("You wrote a manifest for static pods onto {}: {}.", name);
            sentence.values.push(file.clone());
            (sentence, subject)
        }
        Action::RemoveManifest { node: name, file } => {
            let (mut sentence, subject) = node("You removed a manifest for static pods from {}: {}.", name);
            sentence.values.push(file.clone());
            (sentence, subject)
        }
        Action::StartNode(name) => node("You switched {} on again.", &name.name),
        Action::PartitionNode(name) => node("You cut {} off from the API server.", &name.name),
        Action::HealNode(name) => node("You joined {} to the API server again.", &name.name),
        Action::CrashContainer { namespace, pod: name, .. } => pod("You crashed a container of {}.", namespace, name),
        Action::FailProbe { namespace, pod: name, fails: true, .. } => {
            pod("You let a probe of {} fail.", namespace, name)
        }
        Action::FailProbe { namespace, pod: name, .. } => {
            pod("You let the probes of {} answer again.", namespace, name)
        }
        Action::BreakImage { image, broken: true } => {
            (Sentence::new("You made the image {} impossible to pull.", [image.clone()]), None)
        }
        Action::BreakImage { image, .. } => {
            (Sentence::new("You made the image {} possible to pull again.", [image.clone()]), None)
        }
        Action::Disturb(Disturbance { component, fault }) => {
            let template = match fault {
                ComponentFault::Stop => "You stopped {}.",
                ComponentFault::Start => "You started {} again.",
                ComponentFault::Restart => "You restarted {}.",
                ComponentFault::SlowWatch { milliseconds: 0 } => "You let {} see changes as soon as usual again.",
                ComponentFault::SlowWatch { .. } => "You let {} see every change late.",
                ComponentFault::BreakWatch => "You broke the watches of {}.",
                ComponentFault::ExpireWatch => "You let the watches of {} expire, so that it lists anew.",
            };
            (Sentence::new(template, [component.clone()]), None)
        }
        Action::FillStore { full: true } => (Sentence::new("You let etcd run full: nothing can be written.", []), None),
        Action::FillStore { .. } => (Sentence::new("You gave etcd room again.", []), None),
        Action::Exec(command) => {
            let (mut sentence, subject) = pod("You ran a command in {}: {}.", &command.namespace, &command.pod);
            sentence.values.push(command.command.join(" "));
            (sentence, subject)
        }
        Action::ExecInput(input) => node("You typed something into a command on {}.", &input.node),
        Action::AttachInput(input) => node("You typed something into a container on {}.", &input.node),
        Action::PodRequest(request) => {
            let (mut sentence, subject) = pod("You sent {} a request: {}.", &request.namespace, &request.pod);
            sentence.values.push(format!("{} {}", request.method, request.path));
            (sentence, subject)
        }
        Action::OutsideRequest(request) => {
            let target = format!("{}:{}{}", request.address, request.port, request.path);
            (Sentence::new("You sent a request from outside to {}.", [target]), None)
        }
        Action::StartTraffic(spec) => {
            let values = [spec.per_second.to_string(), spec.url.clone()];
            (Sentence::new("You let a client send {} requests a second to {}.", values), None)
        }
        Action::StopTraffic { name } => (Sentence::new("You stopped the client {}.", [name.clone()]), None),
    }
}

/// The command that a request is of, or else the request without what it says about itself.
fn said(call: &Call) -> String {
    if call.line.is_empty() {
        let path = call.path.split('?').next().unwrap_or("");
        return format!("{} {path}", call.method);
    }
    call.line.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_the_command_that_it_is_of() {
        let path = "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=kubectl-rollout".to_owned();
        let call = Call { method: "PATCH".to_owned(), path, ..Call::default() };
        assert_eq!(said(&call), "PATCH /apis/apps/v1/namespaces/default/deployments/web");
        let line = "kubectl rollout undo deployment/web".to_owned();
        assert_eq!(said(&Call { line: line.clone(), ..call }), line);
    }
}
