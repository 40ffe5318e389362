//! RabbitMQ: queues, as the amqp tools and `rabbitmqctl` see them. Durable ones lie in the data directory.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use super::{Reply, Statement, escape, read, unescape, words, write};
use crate::machinery::shell::CommandIo;
use crate::machinery::shell::files::WriteAt;

/// Where durable queues are kept.
const FILE: &str = "/var/lib/rabbitmq/mnesia/queues";

#[derive(Clone, Debug, Default)]
struct Queue {
    durable: bool,
    messages: VecDeque<String>,
}

/// The broker's queues.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Queues {
    queues: BTreeMap<String, Queue>,
    version: String,
    host: String,
}

impl Queues {
    #[expect(clippy::unnecessary_wraps, reason = "every store begins in the same way")]
    pub(super) fn begin(&mut self, version: &str, io: &mut CommandIo<'_>) -> Result<(), String> {
        version.clone_into(&mut self.version);
        self.host = io.host.hostname();
        for line in read(FILE, io).lines() {
            let mut parts = line.split('\t');
            let name = parts.next().unwrap_or_default().to_owned();
            self.queues.insert(name, Queue { durable: true, messages: parts.map(unescape).collect() });
        }
        Ok(())
    }

    fn save(&self, io: &mut CommandIo<'_>) {
        let mut text = String::new();
        for (name, queue) in self.queues.iter().filter(|(_, queue)| queue.durable) {
            text.push_str(name);
            for message in &queue.messages {
                let _ = write!(text, "\t{}", escape(message));
            }
            text.push('\n');
        }
        if self.queues.values().any(|queue| queue.durable) {
            write(FILE, &text, WriteAt::Start, io);
        }
    }

    pub(super) fn answer(&mut self, statement: &Statement<'_>, io: &mut CommandIo<'_>) -> Reply {
        let said = words(&statement.text).unwrap_or_default();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        match said.as_slice() {
            [] => Reply::ok(""),
            ["declare", name, rest @ ..] => {
                let queue = self.queues.entry((*name).to_owned()).or_default();
                queue.durable |= rest.contains(&"durable");
                self.save(io);
                Reply::ok(format!("{name}\n"))
            }
            // The default exchange drops what no queue waits for.
            ["publish", name, message @ ..] => {
                if let Some(queue) = self.queues.get_mut(*name) {
                    queue.messages.push_back(message.join(" "));
                    self.save(io);
                }
                Reply::ok("")
            }
            ["take", name] => match self.queues.get_mut(*name) {
                None => Reply::error(format!(
                    "server channel error 404, message: NOT_FOUND - no queue '{name}' in vhost '/'\n"
                )),
                Some(queue) => match queue.messages.pop_front() {
                    Some(message) => {
                        self.save(io);
                        Reply::ok(message)
                    }
                    None => Reply::denied(""),
                },
            },
            ["delete_queue" | "purge_queue", name, ..] => {
                if said[0] == "delete_queue" {
                    self.queues.remove(*name);
                } else if let Some(queue) = self.queues.get_mut(*name) {
                    queue.messages.clear();
                }
                self.save(io);
                Reply::ok("")
            }
            [verb, rest @ ..] => self.control(verb, rest, io),
        }
    }

    /// `rabbitmqctl` and `rabbitmq-diagnostics`.
    fn control(&self, verb: &str, rest: &[&str], io: &CommandIo<'_>) -> Reply {
        let node = format!("rabbit@{}", self.host);
        let uptime = io.now().since(io.process.started).as_secs();
        Reply::ok(match verb {
            "ping" => format!(
                "Will ping {node}. This only checks if the OS process is running and registered with epmd. Timeout: 60000 ms.\nPing succeeded\n"
            ),
            "check_running" | "check_local_alarms" | "check_port_connectivity" | "node_health_check" => {
                format!(
                    "Checking if RabbitMQ is running on node {node} ...\nRabbitMQ on node {node} is fully booted and running\n"
                )
            }
            "status" => format!(
                "Status of node {node} ...\nRuntime\n\nOS PID: 1\nOS: Linux\nUptime (seconds): {uptime}\nIs under maintenance?: false\nRabbitMQ version: {}\nRabbitMQ release series support status: supported\nNode name: {node}\n\nListeners\n\nInterface: [::], port: 25672, protocol: clustering, purpose: inter-node and CLI tool communication\nInterface: [::], port: 5672, protocol: amqp, purpose: AMQP 0-9-1 and AMQP 1.0\n",
                self.version
            ),
            "cluster_status" => format!(
                "Cluster status of node {node} ...\nBasics\n\nCluster name: {node}\nTotal CPU cores available cluster-wide: 4\n\nDisk Nodes\n\n{node}\n\nRunning Nodes\n\n{node}\n"
            ),
            "list_queues" => {
                let mut text = "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\nname\tmessages\n".to_owned();
                for (name, queue) in &self.queues {
                    let _ = writeln!(text, "{name}\t{}", queue.messages.len());
                }
                text
            }
            "list_users" => "Listing users ...\nuser\ttags\nguest\t[administrator]\n".to_owned(),
            "list_vhosts" => "Listing vhosts ...\nname\n/\n".to_owned(),
            "add_user" => format!(
                "Adding user \"{}\" ...\nDone. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help set_permissions' to learn more.\n",
                rest.first().unwrap_or(&"")
            ),
            "set_user_tags" | "set_permissions" | "add_vhost" | "set_policy" | "enable_feature_flag" => String::new(),
            _ => return Reply::error(format!("Command '{verb}' not found. \n")),
        })
    }
}
