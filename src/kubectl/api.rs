//! The door that kubectl knocks at.

use serde_json::Value;

use crate::api::{Kind, Object, form};
use crate::apiserver::{Answer, Request, Response, Target};
use crate::etcd::Revision;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::node::runtime::LogLine;
use crate::sim::{Cluster, PodLogOptions};

/// A change of an object, as a watch tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub event: &'static str,
    /// The revision of the change.
    pub revision: Revision,
    /// The object after it, or as it was last.
    pub object: Object,
}

impl Change {
    /// The object as it goes over the wire.
    #[must_use]
    pub fn value(&self) -> Value {
        form::encode(&self.object)
    }
}

/// An API server, as a client in another process sees it.
pub trait Api {
    /// The time.
    fn now(&self) -> Time;

    /// Sends a request.
    ///
    /// # Errors
    /// The API server's refusal.
    fn request(&mut self, request: Request) -> Result<Answer, Status>;

    /// Puts `metadata.managedFields` into the objects of an answer. A real client gets them always; working them out
    /// costs time, so that only commands that look at them ask.
    fn show_managed_fields(&self, response: &mut Response);

    /// The custom kinds that are served, in all their versions, the preferred ones first: discovery.
    fn custom_kinds(&self) -> Vec<Kind>;

    /// What a path is about.
    ///
    /// # Errors
    /// `NotFound` when it leads nowhere.
    fn address(&self, path: &str) -> Result<Target, Status>;

    /// The newest revision.
    fn revision(&self) -> Revision;

    /// A watch of a kind, as far as it has come: the changes after a revision, oldest first.
    ///
    /// # Errors
    /// `Expired` when some of them are not kept any more.
    fn changes(&self, kind: Kind, after: Revision) -> Result<Vec<Change>, Status>;

    /// What a container of a pod wrote.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status>;
}

impl Api for Cluster {
    fn now(&self) -> Time {
        Self::now(self)
    }

    fn request(&mut self, request: Request) -> Result<Answer, Status> {
        Self::request(self, request)
    }

    fn show_managed_fields(&self, response: &mut Response) {
        self.api().show_managed_fields(response);
    }

    fn custom_kinds(&self) -> Vec<Kind> {
        self.api().custom_versions()
    }

    fn address(&self, path: &str) -> Result<Target, Status> {
        self.api().address(path)
    }

    fn revision(&self) -> Revision {
        self.api().etcd().revision()
    }

    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status> {
        self.pod_logs(namespace, pod, options)
    }

    fn changes(&self, kind: Kind, after: Revision) -> Result<Vec<Change>, Status> {
        let commits = self.api().etcd().watch(after).map_err(|_| Status::expired("too old resource version"))?;
        let of_kind = commits.filter(|commit| commit.kind() == kind);
        Ok(of_kind
            .map(|commit| Change {
                event: match (&commit.before, &commit.after) {
                    (None, _) => "ADDED",
                    (_, Some(_)) => "MODIFIED",
                    (_, None) => "DELETED",
                },
                revision: commit.revision,
                object: commit.object().clone().in_version(kind),
            })
            .collect())
    }
}
