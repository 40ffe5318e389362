//! Forwarding over the channels of a WebSocket, as client libraries do it (`v4.channel.k8s.io`,
//! `k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go`): the address names the ports, and each has two channels,
//! one for data and one for what goes wrong. Both begin with the port's number.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use crate::apiserver::Target;
use crate::apiserver::address::Query;
use crate::machinery::status::Status;

use super::super::actor::Door;
use super::super::wire::{Drain, Source};
use super::{Forwarded, Lane, PIECES_MAX};

/// How many ports can have their channels, whose numbers are single bytes.
const PORTS_MAX: usize = 127;

/// A channel's number, and what goes there.
pub(super) fn message(channel: u8, bytes: &[u8]) -> Vec<u8> {
    [&[channel], bytes].concat()
}

/// The ports that an address names.
pub(in crate::door) fn ports(query: &Query) -> Result<Vec<u16>, Status> {
    let mut ports = Vec::new();
    for text in query.all("ports").flat_map(|list| list.split(',')) {
        let port = text.parse::<u16>().map_err(|_| {
            Status::bad_request(format!(
                "cannot convert to []int32: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?;
        if port == 0 {
            return Err(Status::bad_request(format!("port {text:?} must be > 0")));
        }
        ports.push(port);
    }
    match ports.len() {
        0 => Err(Status::bad_request("query parameter \"port\" is required")),
        count if count > PORTS_MAX => Err(Status::bad_request(format!("at most {PORTS_MAX} ports can be forwarded"))),
        _ => Ok(ports),
    }
}

enum Event {
    Came(Bytes),
    Goes(Bytes),
    Over,
}

/// Forwards a connection to each port, until all have ended or the client goes.
pub(in crate::door) async fn serve(door: Door, target: Target, ports: Vec<u16>, source: Source, mut drain: Drain) {
    let (sender, mut receiver) = mpsc::channel(PIECES_MAX);
    let mut inboxes = Vec::new();
    for (data, port) in (0..).step_by(2).zip(ports) {
        for channel in [data, data + 1] {
            if !drain.send(message(channel, &port.to_le_bytes()).into()).await {
                return;
            }
        }
        let (inbox, came) = mpsc::channel(PIECES_MAX);
        inboxes.push(Some(inbox));
        let (door, target, sender) = (door.clone(), target.clone(), sender.clone());
        tokio::spawn(Forwarded { door, target, port, lane: Lane::Channel(data), sender }.run(came));
    }
    // The connections hold the rest: when the last has ended, so has this.
    drop(sender);
    let over = || stream::once(std::future::ready(Event::Over));
    let goes = stream::poll_fn(move |context| receiver.poll_recv(context)).map(Event::Goes).chain(over());
    let mut events = std::pin::pin!(stream::select(source.map(Event::Came).chain(over()), goes));
    while let Some(event) = events.next().await {
        match event {
            Event::Came(bytes) => {
                let Some((channel, rest)) = bytes.split_first() else { continue };
                // Nothing is to be said about what goes wrong.
                let Some(inbox) = inboxes.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0) else {
                    continue;
                };
                // One that reads too slowly, or not any more, loses its connection.
                if inbox.as_ref().is_some_and(|inbox| inbox.try_send((rest.to_vec(), false)).is_err()) {
                    *inbox = None;
                }
            }
            Event::Goes(bytes) => {
                if !drain.send(bytes).await {
                    return;
                }
            }
            Event::Over => break,
        }
    }
    drain.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_ports() {
        let read = |path: &str| ports(&Query::of(path)).map_err(|status| status.message().to_owned());
        assert_eq!(read("/x?ports=80&ports=81,82"), Ok(vec![80, 81, 82]));
        assert_eq!(read("/x"), Err("query parameter \"port\" is required".to_owned()));
        assert_eq!(read("/x?ports=0"), Err("port \"0\" must be > 0".to_owned()));
        let wrong = "cannot convert to []int32: strconv.ParseUint: parsing \"a\": invalid syntax";
        assert_eq!(read("/x?ports=80,a"), Err(wrong.to_owned()));
    }
}
