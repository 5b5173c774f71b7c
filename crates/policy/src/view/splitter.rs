//! Splits an answer into elements while it arrives: the elements of a list, the lines of a stream,
//! the parts of a report. One element is in memory at a time.
//!
//! The splitter follows the structure of the JSON text alone: brackets, commas and strings. Reading
//! an element checks the rest.

use super::Unfilterable;
use crate::text::plain::plain_length;

/// The largest element, in bytes. A client can give a container a megabyte of labels.
pub(super) const ELEMENT_LIMIT: usize = 2 << 20;
/// The longest key of a report, in bytes. Reports of engines have keys of some twenty.
const KEY_LIMIT: usize = 256;

/// The parts of an answer that are judged one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The whole answer.
    Value,
    /// The elements of a list.
    List,
    /// The values of a stream, one behind the other.
    Lines,
    /// The members of an object; of members that are lists, their elements. Members of these names
    /// are objects whose members are judged in the same way.
    Report(&'static [&'static str]),
}

/// A list or an object that the splitter has entered.
#[derive(Debug)]
enum OpenElement {
    List,
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SplitterState {
    /// A value comes next; in a list that has just begun, its end may come as well.
    Value { may_close: bool },
    /// Inside of an element.
    Element,
    /// A comma or the end of the frame comes next.
    Behind,
    /// A key comes next; in an object that has just begun, its end may come as well.
    Key { may_close: bool },
    /// Inside of a key.
    InKey,
    /// A colon comes next.
    Colon,
    /// Blanks alone may come.
    End,
}

/// The reason why the splitter stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All bytes are taken.
    AllTaken,
    /// An element in brackets begins with the next byte. It can be read from there, and ends with
    /// [`Splitter::end_element`]; otherwise the splitter goes on to its end.
    ElementBegins,
    /// An element is complete.
    ElementEnds,
}

/// Splits one answer.
#[derive(Debug)]
pub(super) struct Splitter {
    shape: Shape,
    state: SplitterState,
    frames: Vec<OpenElement>,
    /// `true` if an element of the innermost frame was written, so that the next one needs a comma.
    has_written: bool,
    /// The names of the members that lead to the current value.
    section: Vec<String>,
    key: Vec<u8>,
    element: Vec<u8>,
    /// `true` if the current element is too large, so that its end alone is looked for.
    is_skipping: bool,
    scan: Scan,
    /// `true` if a record separator stands before the element (RFC 7464).
    has_separator: bool,
}

/// The place inside of an element or a key.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// `true` if the element is neither in brackets nor in quotes, and so ends before a delimiter.
    is_bare: bool,
}

impl Scan {
    /// Goes on with these bytes, up to the end of the element. Returns the number of bytes before
    /// the end; `None` if the element goes on behind them.
    fn end_of_element(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.is_bare {
            let is_delimiter = |byte: &u8| {
                matches!(
                    byte,
                    b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' | 0x1e
                )
            };
            return bytes.iter().position(is_delimiter);
        }
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                at += self.end_of_string(&bytes[at..]);
                if !self.in_string && self.depth == 0 {
                    return Some(at);
                }
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }

    /// Goes on inside of a string, up to the quote that ends it. Returns the number of bytes taken.
    fn end_of_string(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            if !self.is_escaped {
                at += plain_length(&bytes[at..]);
            }
            let Some(byte) = bytes.get(at) else {
                return at;
            };
            at += 1;
            if self.is_escaped {
                self.is_escaped = false;
            } else if *byte == b'"' {
                self.in_string = false;
                return at;
            } else {
                // A control character is for the reader of the element.
                self.is_escaped = *byte == b'\\';
            }
        }
    }
}

impl Splitter {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            state: SplitterState::Value { may_close: false },
            frames: Vec::new(),
            has_written: false,
            section: Vec::new(),
            key: Vec::new(),
            element: Vec::new(),
            is_skipping: false,
            scan: Scan::default(),
            has_separator: false,
        }
    }

    /// Returns the text of the current element; `None` if it was too large to be kept.
    pub(super) fn element(&self) -> Option<&[u8]> {
        (!self.is_skipping).then_some(self.element.as_slice())
    }

    /// Returns the names of the members that lead to the current element, with dots between them.
    pub(super) fn section(&self) -> String {
        self.section.join(".")
    }

    /// Returns whether the current element stands in a list or a stream, and can be left out.
    pub(super) fn is_listed(&self) -> bool {
        match self.frames.last() {
            Some(OpenElement::List) => true,
            Some(OpenElement::Map) => false,
            None => self.shape == Shape::Lines,
        }
    }

    /// Returns the memory that it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        self.element.capacity()
    }

    /// Takes bytes up to the beginning or the end of an element, and writes the text between
    /// elements to `out`. Returns how many bytes were taken.
    ///
    /// # Errors
    /// The text is not JSON of the expected shape, or an element is too large.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Stop), Unfilterable> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            match self.state {
                SplitterState::Element => {
                    let (taken, is_complete) = self.take_element(&bytes[at..])?;
                    at += taken;
                    if is_complete {
                        self.state = SplitterState::Behind;
                        return Ok((at, Stop::ElementEnds));
                    }
                    continue;
                }
                SplitterState::InKey => self.take_key(byte, out)?,
                _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => {
                    if self.state == SplitterState::End {
                        out.push(byte);
                    }
                }
                SplitterState::Value { may_close } => {
                    if self.begin_value(byte, may_close, out)? {
                        // The first byte belongs to the element.
                        if matches!(byte, b'{' | b'[') {
                            return Ok((at, Stop::ElementBegins));
                        }
                        continue;
                    }
                }
                SplitterState::Key { may_close } => match byte {
                    b'"' => {
                        self.key.clear();
                        self.scan = Scan::default();
                        self.state = SplitterState::InKey;
                    }
                    b'}' if may_close => self.close(b'}', out),
                    _ => return Err(Unfilterable::Malformed),
                },
                SplitterState::Colon if byte == b':' => {
                    out.push(b':');
                    self.state = SplitterState::Value { may_close: false };
                }
                SplitterState::Behind => self.go_on(byte, out)?,
                SplitterState::Colon | SplitterState::End => return Err(Unfilterable::Malformed),
            }
            at += 1;
        }
        Ok((at, Stop::AllTaken))
    }

    /// Ends the element that has just begun: it was read from the bytes that come next, which are
    /// not given to the splitter.
    pub(super) fn end_element(&mut self) {
        self.state = SplitterState::Behind;
    }

    /// Holds the text of an element that was read in this way, until it is decided.
    pub(super) fn hold_element(&mut self, text: &str) {
        self.element.clear();
        self.element.extend_from_slice(text.as_bytes());
    }

    /// Ends the answer. Returns whether one more element is complete: one without brackets, which
    /// ends with the answer.
    ///
    /// # Errors
    /// The answer is cut.
    pub(super) fn finish(&mut self) -> Result<bool, Unfilterable> {
        match self.state {
            SplitterState::Element if self.scan.is_bare && self.frames.is_empty() => {
                self.state = SplitterState::Behind;
                Ok(true)
            }
            SplitterState::End => Ok(false),
            SplitterState::Behind if self.frames.is_empty() => Ok(false),
            // A stream may end at any time, and an answer without a body has no value.
            SplitterState::Value { may_close: false }
                if matches!(self.shape, Shape::Lines | Shape::Value) && self.frames.is_empty() =>
            {
                Ok(false)
            }
            _ => Err(Unfilterable::Cut),
        }
    }

    /// Writes the current element, or another text in its place.
    pub(super) fn keep(&mut self, replacement: Option<&str>, out: &mut Vec<u8>) {
        match self.frames.last() {
            Some(OpenElement::List) if self.has_written => out.push(b','),
            None if self.has_separator => out.push(0x1e),
            _ => {}
        }
        out.extend_from_slice(replacement.map_or(self.element.as_slice(), str::as_bytes));
        if self.shape == Shape::Lines && self.frames.is_empty() {
            out.push(b'\n');
        }
        self.has_written = true;
        self.forget();
    }

    /// Leaves the current element out.
    pub(super) fn forget(&mut self) {
        // A large element must not keep its memory for as long as a stream lasts.
        if self.element.capacity() > 64 << 10 {
            self.element = Vec::new();
        }
        self.element.clear();
        self.is_skipping = false;
        self.has_separator = false;
        if self.frames.is_empty() {
            self.state = match self.shape {
                Shape::Lines => SplitterState::Value { may_close: false },
                _ => SplitterState::End,
            };
        }
    }

    /// Begins a value: enters it, or begins an element. Returns whether an element has begun.
    fn begin_value(
        &mut self,
        byte: u8,
        may_close: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, Unfilterable> {
        let depth = self.frames.len();
        let enters = match (self.shape, byte) {
            (Shape::List, b'[') => depth == 0,
            (Shape::Report(_), b'{') if depth == 0 => true,
            (Shape::Report(nested), b'{') => {
                depth == 1 && nested.contains(&self.section.join(".").as_str())
            }
            (Shape::Report(_), b'[') => {
                depth > 0 && !matches!(self.frames.last(), Some(OpenElement::List))
            }
            (Shape::Lines, 0x1e) if depth == 0 => {
                self.has_separator = true;
                return Ok(false);
            }
            _ => false,
        };
        if enters {
            out.push(byte);
            self.has_written = false;
            if byte == b'[' {
                self.frames.push(OpenElement::List);
                self.state = SplitterState::Value { may_close: true };
            } else {
                self.frames.push(OpenElement::Map);
                self.state = SplitterState::Key { may_close: true };
            }
            return Ok(false);
        }
        if byte == b']' && may_close {
            self.close(byte, out);
            return Ok(false);
        }
        if !matches!(
            byte,
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
        ) {
            return Err(Unfilterable::Malformed);
        }
        self.element.clear();
        self.scan = Scan {
            is_bare: !matches!(byte, b'{' | b'[' | b'"'),
            ..Scan::default()
        };
        self.state = SplitterState::Element;
        Ok(true)
    }

    fn take_element(&mut self, bytes: &[u8]) -> Result<(usize, bool), Unfilterable> {
        let end = self.scan.end_of_element(bytes);
        let taken = end.unwrap_or(bytes.len());
        if self.element.len() + taken > ELEMENT_LIMIT {
            // One object must not take all others from the client.
            if !self.is_listed() {
                return Err(Unfilterable::TooLarge);
            }
            self.is_skipping = true;
            self.element = Vec::new();
        }
        if !self.is_skipping {
            self.element.extend_from_slice(&bytes[..taken]);
        }
        Ok((taken, end.is_some()))
    }

    fn take_key(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Unfilterable> {
        match byte {
            b'"' => {
                // Names of reports have no escapes; one that has is no report of an engine.
                let key = std::str::from_utf8(&self.key).map_err(|_| Unfilterable::Malformed)?;
                self.section.push(key.to_owned());
                if self.has_written {
                    out.push(b',');
                }
                out.push(b'"');
                out.extend_from_slice(&self.key);
                out.push(b'"');
                self.has_written = true;
                self.state = SplitterState::Colon;
                Ok(())
            }
            b'\\' | 0..=0x1f => Err(Unfilterable::Malformed),
            _ if self.key.len() >= KEY_LIMIT => Err(Unfilterable::TooLarge),
            _ => {
                self.key.push(byte);
                Ok(())
            }
        }
    }

    /// Takes the byte behind a value.
    fn go_on(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Unfilterable> {
        match (self.frames.last(), byte) {
            (Some(OpenElement::List), b',') => {
                self.state = SplitterState::Value { may_close: false }
            }
            (Some(OpenElement::List), b']') => self.close(byte, out),
            (Some(OpenElement::Map), b',') => {
                self.section.pop();
                self.state = SplitterState::Key { may_close: false };
            }
            (Some(OpenElement::Map), b'}') => {
                self.section.pop();
                self.close(byte, out);
            }
            _ => return Err(Unfilterable::Malformed),
        }
        Ok(())
    }

    /// Ends the innermost frame.
    fn close(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.frames.pop();
        self.has_written = true;
        self.state = if self.frames.is_empty() {
            SplitterState::End
        } else {
            SplitterState::Behind
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits a text in pieces of this size, leaves out the elements that have the word `drop`, and
    /// shows the others with their sections.
    fn split(shape: Shape, text: &str, step: usize) -> Result<(String, String), Unfilterable> {
        let mut splitter = Splitter::new(shape);
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let mut judge = |splitter: &mut Splitter, out: &mut Vec<u8>| {
            let element = splitter.element().expect("a small element");
            let element = String::from_utf8_lossy(element).into_owned();
            seen.push(format!("{}={element}", splitter.section()));
            if splitter.is_listed() && element.contains("drop") {
                splitter.forget();
            } else {
                splitter.keep(None, out);
            }
        };
        for piece in text.as_bytes().chunks(step) {
            let mut at = 0;
            while at < piece.len() {
                let (taken, stop) = splitter.take(&piece[at..], &mut out)?;
                at += taken;
                if stop == Stop::ElementEnds {
                    judge(&mut splitter, &mut out);
                }
            }
        }
        if splitter.finish()? {
            judge(&mut splitter, &mut out);
        }
        Ok((String::from_utf8_lossy(&out).into_owned(), seen.join(" ")))
    }

    #[test]
    fn elements_are_found_at_every_piece_size() {
        const USAGE: &[&str] = &["Usage"];
        for (shape, text, want, elements) in [
            (
                Shape::Value,
                "{\"a\":[1,\"]\"]}\n",
                "{\"a\":[1,\"]\"]}\n",
                "={\"a\":[1,\"]\"]}",
            ),
            (Shape::Value, "null", "null", "=null"),
            (Shape::Value, "12\n", "12\n", "=12"),
            (Shape::List, "[]\n", "[]\n", ""),
            (Shape::List, "null\n", "null\n", "=null"),
            (
                Shape::List,
                "[1, 2,\"drop\", [3]]",
                "[1,2,[3]]",
                "=1 =2 =\"drop\" =[3]",
            ),
            (Shape::List, "[\"drop\"]", "[]", "=\"drop\""),
            (
                Shape::List,
                "[\"drop\",{\"b\":\"\\\"]\"}]",
                "[{\"b\":\"\\\"]\"}]",
                "=\"drop\" ={\"b\":\"\\\"]\"}",
            ),
            (
                Shape::Lines,
                "{\"a\":1}\n{\"drop\":1}\n\n{}",
                "{\"a\":1}\n{}\n",
                "={\"a\":1} ={\"drop\":1} ={}",
            ),
            (
                Shape::Lines,
                "\u{1e}{\"a\":1}\n\u{1e}{\"drop\":1}\n\u{1e}{}\n",
                "\u{1e}{\"a\":1}\n\u{1e}{}\n",
                "={\"a\":1} ={\"drop\":1} ={}",
            ),
            (Shape::Lines, "", "", ""),
            (
                Shape::Report(USAGE),
                "{\"Size\": 5,\"List\":[\"drop\",{}],\"None\":null,\"Usage\":{\"Items\":[1],\"Other\":{\"x\":[]}},\"Map\":{\"drop\":1}}",
                "{\"Size\":5,\"List\":[{}],\"None\":null,\"Usage\":{\"Items\":[1],\"Other\":{\"x\":[]}},\"Map\":{\"drop\":1}}",
                "Size=5 List=\"drop\" List={} None=null Usage.Items=1 Usage.Other={\"x\":[]} Map={\"drop\":1}",
            ),
            (Shape::Report(&[]), "{}", "{}", ""),
        ] {
            for step in [1, 2, 3, 7, 1000] {
                let found = split(shape, text, step);
                let want = Ok((want.to_owned(), elements.to_owned()));
                assert_eq!(found, want, "{shape:?} {text} by {step}");
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (shape, text) in [
            (Shape::List, "[1,]"),
            (Shape::List, "[,1]"),
            (Shape::List, "[1 2]"),
            (Shape::List, "[1]]"),
            (Shape::List, "[1"),
            (Shape::List, "[{]}"),
            (Shape::List, ""),
            (Shape::List, "[1}"),
            (Shape::Value, "{} {}"),
            (Shape::Value, "{"),
            (Shape::Value, "}"),
            (Shape::Lines, "{}]"),
            (Shape::Lines, "{"),
            (Shape::Report(&[]), "{\"a\":1,}"),
            (Shape::Report(&[]), "{,}"),
            (Shape::Report(&[]), "{\"a\" 1}"),
            (Shape::Report(&[]), "{\"a\\u0062\":1}"),
            (Shape::Report(&[]), "{\"a\":[1}"),
        ] {
            for step in [1, 1000] {
                let found = split(shape, text, step);
                // Brackets of two kinds in one element are for the reader of the element.
                let is_element = matches!(&found, Ok((text, _)) if text == "[{]}");
                assert!(found.is_err() || is_element, "{shape:?} {text}: {found:?}");
            }
        }
    }

    /// Finds the end of an element byte by byte.
    fn naive_end(text: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
        for (at, byte) in text.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 && !in_string {
                return Some(at + 1);
            }
        }
        None
    }

    /// Builds an element of words that are hard to scan.
    fn element_of(mut seed: usize) -> Vec<u8> {
        const WORDS: [&[u8]; 14] = [
            b"\"",
            b"\"",
            b"\\",
            b"\\\"",
            b"[",
            b"]",
            b"{",
            b"}",
            b"\\ud83d\\ude00",
            b"\x00\x1f",
            b"\xff\xc3",
            "é€😀".as_bytes(),
            b"abcdefghijklmnopqrst",
            b"1,\t:",
        ];
        let mut text = vec![if seed.is_multiple_of(2) { b'[' } else { b'"' }];
        for _ in 0..seed % 23 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.extend_from_slice(WORDS[(seed >> 33) % WORDS.len()]);
        }
        text
    }

    #[test]
    fn the_end_is_that_of_a_naive_scan_at_every_split() {
        let mut ends = 0;
        for seed in 0..3_000 {
            let text = element_of(seed);
            let want = naive_end(&text);
            ends += usize::from(want.is_some());
            for split in 0..=text.len() {
                let mut scan = Scan::default();
                let (before, behind) = text.split_at(split);
                let found = scan
                    .end_of_element(before)
                    .or_else(|| Some(split + scan.end_of_element(behind)?));
                assert_eq!(found, want, "{} at {split}", text.escape_ascii());
            }
        }
        assert!((500..2_500).contains(&ends), "{ends}");
    }

    #[test]
    fn a_long_string_has_one_end() {
        let text = [b"\"".as_slice(), &vec![b'x'; 1 << 20], b"\\\\\"]"].concat();
        for step in [1, 7, 8, 4096, text.len()] {
            let mut scan = Scan::default();
            let mut pieces = text.chunks(step).enumerate();
            let end = pieces.find_map(|(index, piece)| {
                let end = scan.end_of_element(piece)?;
                Some(index * step + end)
            });
            assert_eq!(end, Some(text.len() - 1), "{step}");
        }
    }

    /// A large element is left out of a list, and refused where it is the answer.
    #[test]
    fn an_element_has_a_bound() {
        for shape in [Shape::List, Shape::Value] {
            let mut splitter = Splitter::new(shape);
            let mut out = Vec::new();
            let list = shape == Shape::List;
            let beginning: &[u8] = if list { b"[1,\"" } else { b"\"" };
            let mut taken = splitter.take(beginning, &mut out);
            if list {
                splitter.keep(None, &mut out);
                taken = splitter.take(b",\"", &mut out);
            }
            assert!(taken.is_ok());
            let piece = vec![b'x'; 1 << 20];
            let error = (0..5).find_map(|_| splitter.take(&piece, &mut out).err());
            assert_eq!(error, (!list).then_some(Unfilterable::TooLarge));
            if list {
                assert_eq!(
                    splitter.take(b"\",2]", &mut out),
                    Ok((1, Stop::ElementEnds))
                );
                assert!(splitter.element().is_none() && splitter.held() < 1 << 20);
                splitter.forget();
                assert_eq!(splitter.take(b",2", &mut out), Ok((2, Stop::AllTaken)));
            }
        }
    }
}
