//! The owners of an object's fields: `metadata.managedFields`.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::Value;

use super::set::Set;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

/// How an owner came to its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By applying.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields. Writes that agree in all of this are of one owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// The name, such as `kubectl-client-side-apply`.
    pub name: Arc<str>,
    /// How it came to the fields.
    pub operation: Operation,
    /// The version in which it wrote; empty for appliers, who are one whatever version they apply in.
    pub api_version: Arc<str>,
    /// What below the object it wrote to; empty for the object itself.
    pub subresource: Arc<str>,
}

/// The fields of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Who.
    pub manager: Manager,
    /// The version that the paths are of.
    pub api_version: Arc<str>,
    /// When the owner wrote last and changed something by it.
    pub time: Option<Time>,
    /// Which fields.
    pub set: Set,
}

/// All owners of an object, by owner. No owner owns nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed {
    owners: Vec<Owned>,
}

impl Manager {
    /// An owner; `unknown` when it has no name.
    #[must_use]
    pub fn new(name: &str, operation: Operation, api_version: &str, subresource: &str) -> Self {
        let name = if name.is_empty() { "unknown" } else { name };
        let api_version = if operation == Operation::Apply { "" } else { api_version };
        Self { name: name.into(), operation, api_version: api_version.into(), subresource: subresource.into() }
    }

    /// Whether it applies.
    #[must_use]
    pub fn applies(&self) -> bool {
        self.operation == Operation::Apply
    }
}

impl Managed {
    /// Whether nobody owns anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// The owners, in order.
    #[must_use]
    pub fn owners(&self) -> &[Owned] {
        &self.owners
    }

    /// The owners, to take fields from them. Who has none left is dropped by [`Self::retain`].
    pub(super) fn owners_mut(&mut self) -> &mut [Owned] {
        &mut self.owners
    }

    fn place(&self, manager: &Manager) -> Result<usize, usize> {
        self.owners.binary_search_by(|owned| owned.manager.cmp(manager))
    }

    /// What an owner owns.
    #[must_use]
    pub fn get(&self, manager: &Manager) -> Option<&Owned> {
        self.place(manager).ok().map(|place| &self.owners[place])
    }

    /// Puts an owner's fields in the place of those it had.
    pub fn insert(&mut self, owned: Owned) {
        match self.place(&owned.manager) {
            Ok(place) => self.owners[place] = owned,
            Err(place) => self.owners.insert(place, owned),
        }
    }

    /// Forgets an owner.
    pub fn remove(&mut self, manager: &Manager) -> Option<Owned> {
        self.place(manager).ok().map(|place| self.owners.remove(place))
    }

    /// Keeps the owners that pass.
    pub fn retain(&mut self, keep: impl FnMut(&Owned) -> bool) {
        self.owners.retain(keep);
    }

    /// As it stands in the metadata: appliers first, then by the second of the last write.
    #[must_use]
    pub fn encode(&self) -> Vec<ManagedFieldsEntry> {
        let mut owners: Vec<&Owned> = self.owners.iter().collect();
        let seconds = |owned: &Owned| owned.time.map_or(0, Time::as_secs);
        owners.order_by(|a, b| {
            let (x, y) = (&a.manager, &b.manager);
            (x.operation.cmp(&y.operation))
                .then_with(|| seconds(a).cmp(&seconds(b)))
                .then_with(|| x.name.cmp(&y.name))
                .then_with(|| a.api_version.cmp(&b.api_version))
                .then_with(|| x.subresource.cmp(&y.subresource))
        });
        owners.into_iter().map(encode_owned).collect()
    }

    /// Reads the metadata's entries.
    ///
    /// # Errors
    /// The first entry's fault, in upstream's words.
    pub fn decode(entries: &[ManagedFieldsEntry]) -> Result<Self, String> {
        let mut managed = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            managed.insert(decode_entry(index, entry)?);
        }
        Ok(managed)
    }
}

/// Whether entries ask for all owners to be forgotten: there are none, or one that says nothing.
#[must_use]
pub fn is_reset(entries: &[ManagedFieldsEntry]) -> bool {
    matches!(entries, []) || matches!(entries, [entry] if *entry == ManagedFieldsEntry::default())
}

fn encode_owned(owned: &Owned) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        manager: Some(owned.manager.name.to_string()),
        operation: Some(owned.manager.operation.as_str().to_owned()),
        api_version: Some(owned.api_version.to_string()),
        time: owned.time.map(Time::to_meta),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1(owned.set.to_value())),
        subresource: Some(owned.manager.subresource.to_string()).filter(|subresource| !subresource.is_empty()),
    }
}

fn decode_entry(index: usize, entry: &ManagedFieldsEntry) -> Result<Owned, String> {
    let operation = match entry.operation.as_deref() {
        Some("Apply") => Operation::Apply,
        Some("Update") => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = entry.api_version.as_deref().unwrap_or("");
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match entry.fields_type.as_deref() {
        Some("FieldsV1") => {}
        None | Some("") => return Err(format!("missing fieldsType in managed fields entry {index}")),
        Some(other) => return Err(format!("invalid fieldsType {other:?} in managed fields entry {index}")),
    }
    let none = Value::Object(serde_json::Map::new());
    let fields = entry.fields_v1.as_ref().map_or(&none, |fields| &fields.0);
    let set = Set::from_value(fields).map_err(|why| format!("error decoding set: {why}"))?;
    let name = entry.manager.as_deref().unwrap_or("");
    let mut manager = Manager::new(name, operation, api_version, entry.subresource.as_deref().unwrap_or(""));
    manager.name = name.into();
    Ok(Owned { manager, api_version: api_version.into(), time: entry.time.as_ref().map(Time::from), set })
}
