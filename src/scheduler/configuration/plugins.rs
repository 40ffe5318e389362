//! Which plugins a profile has at which points: the default ones, what is switched on and off, and the order.
//!
//! Follows `mergePlugins` (`pkg/scheduler/apis/config/v1/default_plugins.go`), and `updatePluginList`,
//! `expandMultiPointPlugins` and `getScoreWeights` (`pkg/scheduler/framework/runtime/framework.go`).

use serde_json::Value;

use crate::machinery::quote::quote;

use super::super::framework::extension_point::ExtensionPoint;
use super::super::framework::plugin::Plugin;
use super::plugin_args::{list, number, text};

/// The field of `plugins` whose lists hold for all points.
const MULTI_POINT: &str = "multiPoint";
/// Everything that is on by default.
const ALL: &str = "*";

/// A plugin that is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Enabled {
    pub name: String,
    /// How much its score counts; 0 for the default.
    pub weight: i64,
}

/// What is switched on and off at a point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PluginLists {
    pub enabled: Vec<Enabled>,
    pub disabled: Vec<String>,
}

impl PluginLists {
    fn read(plugins: &Value, field: &str) -> Self {
        let set = plugins.get(field).unwrap_or(&Value::Null);
        let enabled = |plugin: &Value| Enabled {
            name: text(plugin, "name").to_owned(),
            weight: number(plugin, "weight").unwrap_or(0),
        };
        Self {
            enabled: list(set, "enabled").iter().map(enabled).collect(),
            disabled: list(set, "disabled").iter().map(|plugin| text(plugin, "name").to_owned()).collect(),
        }
    }

    /// `mergePluginSet`: the default plugins that are not switched off, in their places, then what is added.
    fn merged_with(self, defaults: &[Enabled]) -> Self {
        let is_off = |name: &str| self.disabled.iter().any(|disabled| disabled == name);
        let mut replaces = vec![false; self.enabled.len()];
        let mut enabled = Vec::new();
        for default in defaults.iter().filter(|default| !is_off(ALL) && !is_off(&default.name)) {
            // Of several settings of one plugin the last counts here; the others are told to be one too many later.
            match self.enabled.iter().rposition(|own| own.name == default.name) {
                Some(place) => {
                    replaces[place] = true;
                    enabled.push(self.enabled[place].clone());
                }
                None => enabled.push(default.clone()),
            }
        }
        let added = self.enabled.iter().zip(replaces).filter(|(_, replaces)| !replaces).map(|(own, _)| own.clone());
        enabled.extend(added);
        Self { enabled, disabled: self.disabled }
    }

    fn enables(&self, name: &str) -> bool {
        self.enabled.iter().any(|enabled| enabled.name == name)
    }
}

/// A profile's plugins with the default ones among them.
#[derive(Clone, Debug)]
pub(super) struct Plugins {
    pub multi_point: PluginLists,
    points: Vec<PluginLists>,
}

impl Plugins {
    /// What a profile says, merged with the defaults.
    pub(super) fn read(plugins: &Value) -> Self {
        let default = |plugin: Plugin| Enabled { name: plugin.as_str().to_owned(), weight: plugin.default_weight() };
        let defaults: Vec<Enabled> = Plugin::ALL.into_iter().map(default).collect();
        Self {
            multi_point: PluginLists::read(plugins, MULTI_POINT).merged_with(&defaults),
            points: ExtensionPoint::ALL.into_iter().map(|point| PluginLists::read(plugins, point.field())).collect(),
        }
    }

    pub(super) fn at(&self, point: ExtensionPoint) -> &PluginLists {
        &self.points[point as usize]
    }

    /// The names of all plugins that are switched on somewhere.
    pub(super) fn is_needed(&self, plugin: &str) -> bool {
        self.multi_point.enables(plugin) || self.points.iter().any(|lists| lists.enables(plugin))
    }

    /// Finds out who takes part at each point, in [`ExtensionPoint::ALL`]'s order.
    pub(super) fn resolve(&self, scheduler_name: &str) -> Result<Vec<Vec<Plugin>>, String> {
        let mut own = Vec::new();
        for point in ExtensionPoint::ALL {
            own.push(named_at(point, &self.at(point).enabled)?);
        }
        let mut resolved = Vec::new();
        for (point, own) in ExtensionPoint::ALL.into_iter().zip(own) {
            resolved.push(self.expand(point, own)?);
        }
        let count = |point: ExtensionPoint| resolved[point as usize].len();
        if count(ExtensionPoint::QueueSort) != 1 {
            return Err(format!(
                "only one queue sort plugin required for profile with scheduler name {}, but got {}",
                quote(scheduler_name),
                count(ExtensionPoint::QueueSort),
            ));
        }
        if count(ExtensionPoint::Bind) == 0 {
            let name = quote(scheduler_name);
            return Err(format!("at least one bind plugin is needed for profile with scheduler name {name}"));
        }
        Ok(resolved)
    }

    /// Adds to the plugins that a point names itself those that are on at all points.
    fn expand(&self, point: ExtensionPoint, own: Vec<Plugin>) -> Result<Vec<Plugin>, String> {
        let disabled = &self.at(point).disabled;
        let is_off = |name: &str| disabled.iter().any(|disabled| disabled == name);
        if self.multi_point.enabled.is_empty() || is_off(ALL) {
            return Ok(own);
        }
        let (mut overrides, mut everywhere) = (Vec::new(), Vec::new());
        for enabled in &self.multi_point.enabled {
            let plugin = find(point, &enabled.name)?;
            if !point.has(plugin) || is_off(&enabled.name) {
                continue;
            }
            if own.contains(&plugin) {
                overrides.push(plugin);
            } else if everywhere.contains(&plugin) {
                return Err(already_registered(point, plugin));
            } else {
                everywhere.push(plugin);
            }
        }
        // Those that set something for this point come first, then the ones from everywhere, then the point's own.
        let (mut plugins, rest): (Vec<Plugin>, Vec<Plugin>) =
            own.into_iter().partition(|plugin| overrides.contains(plugin));
        plugins.extend(everywhere);
        plugins.extend(rest);
        Ok(plugins)
    }

    /// How much a plugin's score counts: what its own point says goes before what holds for all points.
    pub(super) fn weight(&self, plugin: Plugin) -> i64 {
        let settings = self.at(ExtensionPoint::Score).enabled.iter().chain(&self.multi_point.enabled);
        let weight = settings.into_iter().find(|enabled| enabled.name == plugin.as_str()).map(|enabled| enabled.weight);
        weight.filter(|weight| *weight != 0).unwrap_or(1)
    }
}

fn find(point: ExtensionPoint, name: &str) -> Result<Plugin, String> {
    let plugin = Plugin::ALL.into_iter().find(|plugin| plugin.as_str() == name);
    plugin.ok_or_else(|| format!("{} {} does not exist", point.go_type(), quote(name)))
}

fn already_registered(point: ExtensionPoint, plugin: Plugin) -> String {
    format!("plugin {} already registered as {}", quote(plugin.as_str()), quote(point.go_type()))
}

/// `updatePluginList`: the plugins that a point names itself.
fn named_at(point: ExtensionPoint, enabled: &[Enabled]) -> Result<Vec<Plugin>, String> {
    let mut plugins = Vec::new();
    for enabled in enabled {
        let plugin = find(point, &enabled.name)?;
        if !point.has(plugin) {
            return Err(format!("plugin {} does not extend {} plugin", quote(&enabled.name), point.go_type()));
        }
        if plugins.contains(&plugin) {
            return Err(already_registered(point, plugin));
        }
        plugins.push(plugin);
    }
    Ok(plugins)
}
