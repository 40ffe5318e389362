//! What a node can be short of, and how little of it is too little.
//!
//! The signals of `pkg/kubelet/eviction/api`, the defaults of `pkg/kubelet/apis/config/v1beta1/defaults_linux.go`, and
//! `ParseThresholdConfig` of `pkg/kubelet/eviction/helpers.go`.

use std::collections::BTreeMap;

use crate::machinery::quantity::{Format, Quantity};

use super::usage::Observations;

/// What a node can be short of, in the order in which messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::node::kubelet) enum Pressure {
    Disk,
    Memory,
    Pid,
}

impl Pressure {
    /// The node's condition.
    pub(super) const fn condition(self) -> &'static str {
        match self {
            Self::Disk => "DiskPressure",
            Self::Memory => "MemoryPressure",
            Self::Pid => "PIDPressure",
        }
    }
}

/// What is used up and can be got back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Starved {
    Memory,
    Storage,
    Inodes,
    Pids,
}

impl Starved {
    /// The resource as messages name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Storage => "ephemeral-storage",
            Self::Inodes => "inodes",
            Self::Pids => "pids",
        }
    }

    /// Whether images and ended containers hold some of it.
    pub(super) const fn is_on_disk(self) -> bool {
        matches!(self, Self::Storage | Self::Inodes)
    }

    /// An amount as messages tell it.
    pub(super) fn quantity(self, amount: u64) -> Quantity {
        let format = match self {
            Self::Memory | Self::Storage => Format::BinarySI,
            Self::Inodes | Self::Pids => Format::DecimalSI,
        };
        Quantity::new(i64::try_from(amount).unwrap_or(i64::MAX), format)
    }
}

/// What the kubelet watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    MemoryAvailable,
    NodeFsAvailable,
    ImageFsAvailable,
    NodeFsInodesFree,
    ImageFsInodesFree,
    PidAvailable,
}

/// The name of the signal of process numbers.
pub(super) const PID_SIGNAL: &str = "pid.available";

/// Every signal under its name, memory first, which goes before whatever else is short.
const SIGNALS: [(&str, Signal); 6] = [
    ("memory.available", Signal::MemoryAvailable),
    ("nodefs.available", Signal::NodeFsAvailable),
    ("imagefs.available", Signal::ImageFsAvailable),
    ("nodefs.inodesFree", Signal::NodeFsInodesFree),
    ("imagefs.inodesFree", Signal::ImageFsInodesFree),
    (PID_SIGNAL, Signal::PidAvailable),
];

impl Signal {
    pub(super) const fn pressure(self) -> Pressure {
        match self {
            Self::MemoryAvailable => Pressure::Memory,
            Self::PidAvailable => Pressure::Pid,
            _ => Pressure::Disk,
        }
    }

    pub(super) const fn starved(self) -> Starved {
        match self {
            Self::MemoryAvailable => Starved::Memory,
            Self::NodeFsAvailable | Self::ImageFsAvailable => Starved::Storage,
            Self::NodeFsInodesFree | Self::ImageFsInodesFree => Starved::Inodes,
            Self::PidAvailable => Starved::Pids,
        }
    }
}

/// How little of something is too little.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Amount(Quantity),
    /// This part of the capacity. It is a float of Go's `float32`, which shows in what messages tell.
    Part(f32),
}

/// A signal, and below what pods have to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Threshold {
    pub(super) signal: Signal,
    limit: Limit,
}

/// `DefaultEvictionHard`. Process numbers are watched only where somebody says so.
const DEFAULTS: [Threshold; 5] = [
    Threshold { signal: Signal::MemoryAvailable, limit: Limit::Amount(Quantity::new(100 << 20, Format::BinarySI)) },
    Threshold { signal: Signal::NodeFsAvailable, limit: Limit::Part(0.10) },
    Threshold { signal: Signal::ImageFsAvailable, limit: Limit::Part(0.15) },
    Threshold { signal: Signal::NodeFsInodesFree, limit: Limit::Part(0.05) },
    Threshold { signal: Signal::ImageFsInodesFree, limit: Limit::Part(0.05) },
];

impl Threshold {
    /// `GetThresholdQuantity`; a part is told as bytes are, whatever it is a part of.
    pub(super) fn quantity(&self, observed: &Observations) -> Quantity {
        match &self.limit {
            Limit::Amount(amount) => *amount,
            Limit::Part(part) => {
                let part = observed.capacity(self.signal.starved()) as f64 * f64::from(*part);
                Quantity::new(part as i64, Format::BinarySI)
            }
        }
    }

    pub(super) fn is_met(&self, observed: &Observations) -> bool {
        let available = i64::try_from(observed.available(self.signal.starved())).unwrap_or(i64::MAX);
        available < self.quantity(observed).value()
    }
}

/// The thresholds of a kubelet with this `evictionHard`. What is named there stands in place of all defaults.
pub(super) fn thresholds(eviction_hard: &BTreeMap<String, String>) -> Vec<Threshold> {
    if eviction_hard.is_empty() {
        return DEFAULTS.to_vec();
    }
    let named = |(name, signal): (&str, Signal)| {
        let limit = parse(name, eviction_hard.get(name)?).ok().flatten()?;
        Some(Threshold { signal, limit })
    };
    SIGNALS.into_iter().filter_map(named).collect()
}

/// `parseThresholdStatement`; nothing is watched of which there is always or never enough.
fn parse(signal: &str, value: &str) -> Result<Option<Limit>, String> {
    if let Some(percent) = value.strip_suffix('%') {
        let part = percent.parse::<f32>().map_err(|_| format!("eviction threshold {signal}: {value:?} is no part"))?;
        return match part {
            part if part == 0.0 || part == 100.0 => Ok(None),
            part if part < 0.0 => Err(format!("eviction percentage threshold {signal} must be >= 0%: {value}")),
            part if part > 100.0 => Err(format!("eviction percentage threshold {signal} must be <= 100%: {value}")),
            part => Ok(Some(Limit::Part(part / 100.0))),
        };
    }
    let amount =
        Quantity::parse(value).map_err(|_| format!("eviction threshold {signal}: {value:?} is no quantity"))?;
    if amount.sign() <= 0 {
        return Err(format!("eviction threshold {signal} must be positive: {value}"));
    }
    Ok(Some(Limit::Amount(amount)))
}

/// Whether a kubelet would start with this `evictionHard`.
///
/// # Errors
/// What it does not understand.
pub fn check_thresholds(eviction_hard: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in eviction_hard {
        if !SIGNALS.iter().any(|(known, _)| known == name) {
            return Err(format!("unsupported eviction signal {name}"));
        }
        parse(name, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_configured_stands_in_place_of_the_defaults() {
        assert_eq!(thresholds(&config(&[])), DEFAULTS);
        let named =
            thresholds(&config(&[("pid.available", "10%"), ("memory.available", "1Gi"), ("nodefs.available", "0%")]));
        assert_eq!(
            named,
            [
                Threshold {
                    signal: Signal::MemoryAvailable,
                    limit: Limit::Amount(Quantity::new(1 << 30, Format::BinarySI))
                },
                Threshold { signal: Signal::PidAvailable, limit: Limit::Part(0.1) },
            ]
        );
    }

    #[test]
    fn a_kubelet_does_not_start_with_nonsense() {
        let complaint = |name: &str, value: &str| check_thresholds(&config(&[(name, value)])).err().unwrap_or_default();
        assert_eq!(complaint("pid.available", "100"), "");
        assert_eq!(complaint("pids", "100"), "unsupported eviction signal pids");
        assert_eq!(
            complaint("memory.available", "-5%"),
            "eviction percentage threshold memory.available must be >= 0%: -5%"
        );
        assert_eq!(complaint("memory.available", "0"), "eviction threshold memory.available must be positive: 0");
        assert_eq!(
            complaint("memory.available", "much"),
            "eviction threshold memory.available: \"much\" is no quantity"
        );
    }
}
