//! Something of each kind.

use crate::machinery::persistent::OrdMap;

use super::apiextensions::CustomKind;
use super::kind::Kind;

/// A value for each kind: those of built-in kinds by their place in the table, those of custom kinds by name.
#[derive(Clone, Debug)]
pub struct KindMap<T> {
    built_in: Vec<T>,
    custom: OrdMap<CustomKind, T>,
    /// What custom kinds have that have nothing yet.
    empty: T,
}

impl<T: Clone + Default> Default for KindMap<T> {
    fn default() -> Self {
        Self { built_in: vec![T::default(); Kind::ALL.len()], custom: OrdMap::new(), empty: T::default() }
    }
}

impl<T: Clone + Default> KindMap<T> {
    /// The value of a kind.
    #[must_use]
    pub fn get(&self, kind: Kind) -> &T {
        match kind {
            Kind::Custom(custom) => self.of_custom(custom),
            kind => &self.built_in[kind.index()],
        }
    }

    #[inline(never)]
    fn of_custom(&self, custom: CustomKind) -> &T {
        self.custom.get(&custom).unwrap_or(&self.empty)
    }

    /// The value of a kind, to be changed.
    pub fn get_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Custom(custom) => self.of_custom_mut(custom),
            kind => &mut self.built_in[kind.index()],
        }
    }

    #[inline(never)]
    fn of_custom_mut(&mut self, custom: CustomKind) -> &mut T {
        self.custom.entry(custom).or_default()
    }

    /// The custom kinds that have a value, by group and name.
    pub fn custom_kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.custom.keys().map(|custom| Kind::Custom(*custom))
    }
}
