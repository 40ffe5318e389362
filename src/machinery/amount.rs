//! Amounts that change with time, as annotations of lessons say them, and how such annotations are found.

use std::collections::BTreeMap;
use std::time::Duration;

use super::duration::GoDuration;
use super::quantity::Quantity;

/// An amount over time: `kubetab/cpu[.CONTAINER]: "50m@30s,400m"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmountScript {
    /// Amounts and how long each holds; the last one holds for ever.
    amounts: Vec<(Quantity, Duration)>,
}

impl AmountScript {
    /// Reads an annotation's value.
    ///
    /// # Errors
    /// When it is not of the grammar.
    pub fn parse(text: &str) -> Result<Self, String> {
        let amount = |part: &str| {
            let (amount, time) = part.trim().split_once('@').unwrap_or((part.trim(), "0"));
            let quantity = Quantity::parse(amount).map_err(|_| format!("{amount:?} is no amount"))?;
            Ok((quantity, GoDuration::parse(time)?.to_std()))
        };
        let amounts: Result<Vec<_>, String> = text.split(',').map(amount).collect();
        Ok(Self { amounts: amounts? })
    }

    /// The script that annotations have under `kubetab/NAME`, one for the container before one for all.
    #[must_use]
    pub fn of(annotations: &BTreeMap<String, String>, name: &str, container: &str) -> Option<Self> {
        Self::parse(directive(annotations, name, container)?).ok()
    }

    /// The amount so long after the beginning.
    #[must_use]
    pub fn amount_at(&self, since: Duration) -> &Quantity {
        let mut left = since;
        let (last, before) = self.amounts.split_last().expect("a script has an amount");
        for (amount, time) in before {
            match left.checked_sub(*time) {
                Some(rest) => left = rest,
                None => return amount,
            }
        }
        &last.0
    }
}

/// The annotation `kubetab/NAME.CONTAINER`, or `kubetab/NAME` that is for all containers.
#[must_use]
pub fn directive<'a>(annotations: &'a BTreeMap<String, String>, name: &str, container: &str) -> Option<&'a str> {
    let own = annotations.get(&format!("kubetab/{name}.{container}"));
    own.or_else(|| annotations.get(&format!("kubetab/{name}"))).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let script = AmountScript::parse("50m@30s, 400m@1m,2").unwrap();
        let at = |seconds| script.amount_at(Duration::from_secs(seconds)).to_string();
        assert_eq!([at(0), at(29), at(30), at(89), at(90)], ["50m", "50m", "400m", "400m", "2"]);
        assert!(AmountScript::parse("lots").is_err() && AmountScript::parse("").is_err());
    }
}
