//! Arrays, as bash has them: an element is a variable whose name has its subscript.

use super::arithmetic;
use super::expand::Expansion;
use super::io::CommandIo;
use super::shell::Variable;

/// The elements of an array, in order.
pub(super) fn elements(io: &CommandIo<'_>, array: &str) -> Vec<String> {
    let variable = |index: usize| io.process.variables.get(&format!("{array}[{index}]"));
    let elements: Vec<String> = (0..).map_while(|index| variable(index).map(|held| held.value.clone())).collect();
    if elements.is_empty() {
        // A plain variable is an array of one.
        return io.process.variables.get(array).map(|held| held.value.clone()).into_iter().collect();
    }
    elements
}

/// Makes an array of texts, or adds them to it.
pub(super) fn set(io: &mut CommandIo<'_>, array: &str, texts: Vec<String>, append: bool) {
    let mut all = elements(io, array);
    for index in 0..all.len() {
        io.process.variables.remove(&format!("{array}[{index}]"));
    }
    if !append {
        all.clear();
    }
    all.extend(texts);
    io.process.variables.remove(array);
    let first = all.first().cloned().map(|text| (array.to_owned(), text));
    let named = all.into_iter().enumerate().map(|(index, text)| (format!("{array}[{index}]"), text));
    for (name, value) in named.chain(first) {
        io.process.variables.insert(name, Variable { value, exported: false, read_only: false });
    }
}

/// The element that a name with a subscript stands for: a number, an expression, or `@` for all.
pub(super) fn value(expansion: &mut Expansion<'_, '_>, name: &str) -> Option<String> {
    let (array, subscript) = name.trim_end_matches(']').split_once('[')?;
    if matches!(subscript, "@" | "*") {
        let all = elements(expansion.io, array);
        return (!all.is_empty()).then(|| all.join(" "));
    }
    // In arithmetic a variable needs no sign.
    let expression = subscript.replace(['$', '{', '}', '"'], "");
    let index = arithmetic::evaluate(&expression, expansion).ok()?;
    let all = elements(expansion.io, array);
    let index = if index < 0 { index + i64::try_from(all.len()).unwrap_or(0) } else { index };
    all.get(usize::try_from(index).ok()?).cloned()
}
