//! Small pictures as SVG text. What is drawn of a pod, a node or a card is drawn anew as a whole when it changes, and
//! nothing in it listens: as text it costs little to make, little to replace, and little to download.

use std::fmt::Write as _;

/// A picture that is being drawn.
#[derive(Clone, Debug, Default)]
pub(in crate::page) struct Drawing(String);

/// Which end of the words stands at their place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    /// The picture as SVG.
    pub(in crate::page) fn finish(self) -> String {
        self.0
    }

    /// A rectangle with round corners.
    pub(in crate::page) fn rect(
        mut self,
        class: &str,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        radius: f64,
    ) -> Self {
        self.open("rect", class);
        self.numbers(&[("x", x), ("y", y), ("width", width), ("height", height), ("rx", radius)]);
        self.close("rect")
    }

    /// A circle.
    pub(super) fn circle(mut self, class: &str, x: f64, y: f64, radius: f64) -> Self {
        self.open("circle", class);
        self.numbers(&[("cx", x), ("cy", y), ("r", radius)]);
        self.close("circle")
    }

    /// A line of any form; `id` may be empty.
    pub(in crate::page) fn path(mut self, class: &str, id: &str, form: &str) -> Self {
        self.open("path", class);
        if !id.is_empty() {
            self.attribute("id", id);
        }
        self.attribute("d", form);
        self.close("path")
    }

    /// Words.
    pub(super) fn words(mut self, class: &str, x: f64, y: f64, anchor: Anchor, words: &str) -> Self {
        self.open("text", class);
        self.numbers(&[("x", x), ("y", y)]);
        match anchor {
            Anchor::Start => {}
            Anchor::Middle => self.attribute("text-anchor", "middle"),
            Anchor::End => self.attribute("text-anchor", "end"),
        }
        self.0.push('>');
        self.escaped(words);
        self.0.push_str("</text>");
        self
    }

    /// The sign of a state.
    pub(super) fn sign(mut self, sign: &str, x: f64, y: f64, size: f64) -> Self {
        self.open("use", "sign");
        self.0.push_str(" href=\"#sign-");
        self.0.push_str(sign);
        self.0.push('"');
        self.numbers(&[("x", x), ("y", y), ("width", size), ("height", size)]);
        self.close("use")
    }

    /// What is shown when the pointer rests.
    pub(super) fn title(mut self, words: &str) -> Self {
        self.0.push_str("<title>");
        self.escaped(words);
        self.0.push_str("</title>");
        self
    }

    /// A picture within this one, with a class of its own.
    pub(super) fn group(mut self, class: &str, inner: impl FnOnce(Self) -> Self) -> Self {
        self.open("g", class);
        self.0.push('>');
        self = inner(self);
        self.0.push_str("</g>");
        self
    }

    fn open(&mut self, element: &str, class: &str) {
        self.0.push('<');
        self.0.push_str(element);
        self.attribute("class", class);
    }

    fn close(mut self, element: &str) -> Self {
        self.0.push_str("></");
        self.0.push_str(element);
        self.0.push('>');
        self
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.0.push(' ');
        self.0.push_str(name);
        self.0.push_str("=\"");
        self.escaped(value);
        self.0.push('"');
    }

    fn numbers(&mut self, numbers: &[(&str, f64)]) {
        for (name, number) in numbers {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            push_number(&mut self.0, *number);
            self.0.push('"');
        }
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '"' => self.0.push_str("&quot;"),
                other => self.0.push(other),
            }
        }
    }
}

/// Writes a number with one digit behind the point, which is as exact as a screen is. The standard library's way of
/// writing any number exactly would be a larger part of the download.
pub(super) fn push_number(text: &mut String, number: f64) {
    push_scaled(text, number, 10);
}

/// Writes a number with as many digits behind the point as `scale`, a power of ten, has zeros.
pub(super) fn push_scaled(text: &mut String, number: f64, scale: i32) {
    #[allow(clippy::cast_possible_truncation, reason = "pictures are some thousand units wide")]
    let scaled = (number * f64::from(scale)).round() as i32;
    if scaled < 0 {
        text.push('-');
    }
    let (whole, rest) = (scaled.unsigned_abs() / scale.unsigned_abs(), scaled.unsigned_abs() % scale.unsigned_abs());
    // Writing into a string cannot fail.
    let _ = write!(text, "{whole}");
    if rest > 0 {
        text.push('.');
        let mut digit = scale.unsigned_abs() / 10;
        while digit > 0 {
            text.push(char::from(b'0' + u8::try_from(rest / digit % 10).unwrap_or_default()));
            digit /= 10;
        }
    }
}

/// `translate(12.5px, 3px)`, as style sheets move things.
pub(super) fn moved(x: f64, y: f64) -> String {
    let mut text = String::from("translate(");
    push_number(&mut text, x);
    text.push_str("px, ");
    push_number(&mut text, y);
    text.push_str("px)");
    text
}
