//! What every other room is built from: values and texts of the Kubernetes API that need no cluster.
//!
//! Follows `k8s.io/apimachinery/pkg`. Nothing here knows of kinds, of a store or of simulated components.

pub mod apart;
pub mod amount;
pub mod base64;
pub mod cel;
pub mod cron;
pub mod diff;
pub mod duration;
pub mod field;
pub mod fields;
pub mod go_json;
pub mod go_regex;
pub mod intstr;
pub mod ip;
pub mod json;
pub mod jsonpath;
pub mod labels;
pub mod manifest;
pub mod names;
pub mod node_selector;
pub mod order;
pub mod patch;
pub mod persistent;
pub mod quantity;
pub mod quote;
pub mod random;
pub mod schema;
pub mod sha256;
pub mod shell;
pub mod status;
pub mod strict;
pub mod structural;
pub mod time;
pub mod time_zone;
pub mod toleration;
pub mod x509;
pub mod yaml;

#[cfg(test)]
mod robustness;
