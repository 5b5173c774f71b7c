//! JSON that every reader reads alike, and that is written anew from the parsed values.
//!
//! Go's decoder accepts a second value behind the first, repeated keys, broken UTF-8 and halves of
//! surrogates, each in a way of its own (`encoding/json`, `jsoniter`). All of them are refused
//! here, so that the judged value is the one that the engine reads. Numbers keep their digits.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use crate::text::plain::plain_length;

/// The deepest nesting: no engine takes deeper values.
const DEPTH: usize = 32;
/// The most values: a stack of a hundred ports and variables has some thousand.
const VALUES: usize = 64 << 10;
/// The most keys of an object that are compared one by one. Hashing costs more than that for a few
/// keys, and bounds the time for many.
const FEW_KEYS: usize = 16;
/// The most digits of a number without an exponent that need not be converted: they are far below
/// [`LARGEST`].
const FEW_DIGITS: usize = 64;
/// The largest magnitude of a number. Readers that convert to a 64-bit float disagree beyond it: Go
/// reports an error, others continue with infinity. It stays below `f64::MAX`, near which readers
/// round differently.
const LARGEST: f64 = 1e308;

/// A value; texts without escapes and numbers are those of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json<'b> {
    /// `null`, which Go treats as a missing value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(&'b str),
    /// A text, without its escapes.
    Text(Cow<'b, str>),
    /// A list.
    List(Vec<Self>),
    /// An object; no key stands twice.
    Map(Vec<(Cow<'b, str>, Self)>),
}

/// The reason why a body is not JSON, or not JSON that all readers read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedJson {
    what: &'static str,
    /// The place in the body, in bytes from the start.
    at: usize,
}

impl fmt::Display for MalformedJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for MalformedJson {}

impl<'b> Json<'b> {
    /// Reads a body that is one value.
    ///
    /// # Errors
    /// The first place at which readers could differ.
    pub fn read(body: &'b [u8]) -> Result<Self, MalformedJson> {
        let text = std::str::from_utf8(body).map_err(|error| MalformedJson {
            what: "broken UTF-8",
            at: error.valid_up_to(),
        })?;
        let mut reader = JsonReader::new(text);
        let value = reader.value(0)?;
        reader.skip_blanks();
        if reader.at < text.len() {
            Err(reader.wrong("something behind the value"))
        } else {
            Ok(value)
        }
    }

    /// Reads the value that a text begins with. Returns it with its length; `None` if the text does
    /// not begin with a value, or ends within it.
    pub(crate) fn read_first(text: &'b str) -> Option<(Self, usize)> {
        let mut reader = JsonReader::new(text);
        let value = reader.value(0).ok()?;
        Some((value, reader.at))
    }

    /// Returns the value as JSON text, which takes some `length` bytes. It is the text of
    /// [`fmt::Display`], without the cost of formatting.
    pub(crate) fn to_text(&self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        // Writing to a `String` does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(true) => out.write_str("true"),
            Self::Bool(false) => out.write_str("false"),
            Self::Number(digits) => out.write_str(digits),
            Self::Text(text) => quote(text, out),
            Self::List(list) => {
                out.write_char('[')?;
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        out.write_char(',')?;
                    }
                    value.write(out)?;
                }
                out.write_char(']')
            }
            Self::Map(map) => {
                out.write_char('{')?;
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        out.write_char(',')?;
                    }
                    quote(key, out)?;
                    out.write_char(':')?;
                    value.write(out)?;
                }
                out.write_char('}')
            }
        }
    }

    /// Returns whether the value is empty: the zero value of its type in Go, as far as that can be
    /// told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Bool(true) => false,
            Self::Number(digits) => *digits == "0",
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Map(map) => map.is_empty(),
        }
    }

    /// Returns the value of a key; `None` if there is none, or if it is `null`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(map) = self else { return None };
        map.iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, Self::Null))
    }

    /// Returns the value of a key, `null` too.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Map(map) = self else { return None };
        map.iter_mut()
            .find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Returns the value at a path of keys; `None` if there is none.
    pub(crate) fn at_path_mut<'p>(
        &mut self,
        path: impl IntoIterator<Item = &'p str>,
    ) -> Option<&mut Self> {
        path.into_iter()
            .try_fold(self, |value, key| value.get_mut(key))
    }

    /// Returns the value at a path of keys. Missing ones are made: objects, and `null` at the end. A
    /// value on the path that is no object is replaced by one.
    pub(crate) fn make_path(
        &mut self,
        path: impl IntoIterator<Item = Cow<'b, str>>,
    ) -> Option<&mut Self> {
        path.into_iter().try_fold(self, |value, key| {
            if !matches!(value, Self::Map(_)) {
                *value = Self::Map(Vec::new());
            }
            let Self::Map(map) = value else { return None };
            let at = match map.iter().position(|(known, _)| *known == key) {
                Some(at) => at,
                None => {
                    map.push((key, Self::Null));
                    map.len() - 1
                }
            };
            map.get_mut(at).map(|(_, value)| value)
        })
    }

    /// Returns the text; empty for other values.
    #[must_use]
    pub fn text(&self) -> &str {
        if let Self::Text(text) = self {
            text
        } else {
            ""
        }
    }

    /// Returns the elements of a list; none for other values.
    #[must_use]
    pub fn list(&self) -> &[Self] {
        if let Self::List(list) = self {
            list
        } else {
            &[]
        }
    }

    /// Returns the pairs of an object; none for other values.
    #[must_use]
    pub fn map(&self) -> &[(Cow<'b, str>, Self)] {
        if let Self::Map(map) = self { map } else { &[] }
    }
}

impl fmt::Display for Json<'_> {
    /// Writes the value as JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

fn quote(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_char('"')?;
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_length(rest.as_bytes()));
        out.write_str(plain)?;
        let mut chars = special.chars();
        match chars.next() {
            Some(c @ ('"' | '\\')) => write!(out, "\\{c}")?,
            Some(c) => write!(out, "\\u{:04x}", c as u32)?,
            None => break,
        }
        rest = chars.as_str();
    }
    out.write_char('"')
}

struct JsonReader<'b> {
    text: &'b str,
    at: usize,
    values: usize,
    /// The members of the objects that are being read, those of the innermost one last. An object
    /// that is complete takes its own, in memory of the right size.
    members: Vec<(Cow<'b, str>, Json<'b>)>,
    /// The elements of the lists that are being read, in the same way.
    elements: Vec<Json<'b>>,
}

impl<'b> JsonReader<'b> {
    fn new(text: &'b str) -> Self {
        Self {
            text,
            at: 0,
            values: 0,
            members: Vec::with_capacity(FEW_KEYS),
            elements: Vec::new(),
        }
    }

    fn wrong(&self, what: &'static str) -> MalformedJson {
        MalformedJson { what, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Takes this byte behind blanks, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Result<Json<'b>, MalformedJson> {
        self.skip_blanks();
        self.values += 1;
        if depth > DEPTH || self.values > VALUES {
            return Err(self.wrong("more values or deeper ones than any engine takes"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [
                    ("null", Json::Null),
                    ("true", Json::Bool(true)),
                    ("false", Json::Bool(false)),
                ] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.wrong("no JSON value"))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'b>, MalformedJson> {
        let first = self.members.len();
        // The keys of an object with many.
        let mut seen: Option<HashSet<Cow<'b, str>>> = None;
        self.at += 1;
        if self.take(b'}') {
            return Ok(Json::Map(Vec::new()));
        }
        loop {
            self.skip_blanks();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong("no key in quotes"));
            }
            let key = self.string()?;
            let known = &self.members[first..];
            let is_new = if known.len() < FEW_KEYS {
                known.iter().all(|(known, _)| *known != key)
            } else {
                let known = || known.iter().map(|(known, _)| known.clone()).collect();
                seen.get_or_insert_with(known).insert(key.clone())
            };
            if !is_new {
                return Err(MalformedJson {
                    what: "a key that stands twice",
                    at: start,
                });
            }
            if !self.take(b':') {
                return Err(self.wrong("no colon behind a key"));
            }
            let value = self.value(depth + 1)?;
            self.members.push((key, value));
            if self.take(b'}') {
                return Ok(Json::Map(self.members.drain(first..).collect()));
            }
            if !self.take(b',') {
                return Err(self.wrong("no comma between two keys"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'b>, MalformedJson> {
        let first = self.elements.len();
        self.at += 1;
        if self.take(b']') {
            return Ok(Json::List(Vec::new()));
        }
        loop {
            let value = self.value(depth + 1)?;
            self.elements.push(value);
            if self.take(b']') {
                return Ok(Json::List(self.elements.drain(first..).collect()));
            }
            if !self.take(b',') {
                return Err(self.wrong("no comma between two values"));
            }
        }
    }

    /// Reads a number (RFC 8259 §6).
    fn number(&mut self) -> Result<Json<'b>, MalformedJson> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.peek();
        let whole = self.digits();
        if whole == 0 || (first == Some(b'0') && whole > 1) {
            return Err(self.wrong("no number"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.wrong("no number"));
            }
        }
        let has_exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if has_exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(self.wrong("no number"));
            }
        }
        let digits = &self.text[start..self.at];
        let is_short = !has_exponent && digits.len() <= FEW_DIGITS;
        let in_range = || {
            let number = digits.parse::<f64>();
            number.is_ok_and(|number| number.abs() <= LARGEST)
        };
        if is_short || in_range() {
            Ok(Json::Number(digits))
        } else {
            Err(self.wrong("a number out of range"))
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<Cow<'b, str>, MalformedJson> {
        self.at += 1;
        let start = self.at;
        let mut read = String::new();
        let mut plain = start;
        loop {
            self.at += plain_length(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                None => return Err(self.wrong("a text without its end")),
                Some(b'"') => {
                    let rest = &self.text[plain..self.at];
                    self.at += 1;
                    return Ok(if plain == start {
                        Cow::Borrowed(rest)
                    } else {
                        Cow::Owned(read + rest)
                    });
                }
                Some(b'\\') => {
                    read.push_str(&self.text[plain..self.at]);
                    read.push(self.escape()?);
                    plain = self.at;
                }
                Some(_) => return Err(self.wrong("a control character in a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, MalformedJson> {
        self.at += 1;
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.wrong("an escape that JSON does not have")),
        };
        self.at += 1;
        Ok(c)
    }

    /// Reads `\uXXXX`, and the second half of a pair. Half a pair is no character, and a NUL ends
    /// texts in some readers.
    fn unicode(&mut self) -> Result<char, MalformedJson> {
        let high = self.unit()?;
        let code = match high {
            0xd800..0xdc00 if self.text[self.at..].starts_with("\\u") => {
                self.at += 1;
                let low = self.unit()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return Err(self.wrong("half a surrogate pair"));
                }
                0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
            }
            code => code,
        };
        match char::from_u32(code) {
            Some('\0') => Err(self.wrong("a NUL in a text")),
            Some(c) => Ok(c),
            None => Err(self.wrong("half a surrogate pair")),
        }
    }

    fn unit(&mut self) -> Result<u32, MalformedJson> {
        let digits = self
            .text
            .as_bytes()
            .get(self.at + 1..self.at + 5)
            .filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let unit = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|d| u32::from_str_radix(d, 16).ok());
        let unit = unit.ok_or_else(|| self.wrong("an escape that JSON does not have"))?;
        self.at += 5;
        Ok(unit)
    }
}

/// Folds a key as Go's decoders compare it: `encoding/json` by simple case folding, `jsoniter` by
/// `strings.ToLower`. Keys of engines are ASCII, and these three are the other characters that
/// become ASCII letters in one of the two.
pub(crate) fn fold(key: &str) -> Cow<'_, str> {
    if key.is_ascii() {
        return match key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(key.to_ascii_lowercase()),
            false => Cow::Borrowed(key),
        };
    }
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{130}' => 'i',
        c => c.to_ascii_lowercase(),
    };
    Cow::Owned(key.chars().map(fold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for (text, want) in [
            ("{}", "{}"),
            (" [ 1 , 2 ] \n", "[1,2]"),
            (
                "{\"a\":{\"b\":[null,true,false]}}",
                "{\"a\":{\"b\":[null,true,false]}}",
            ),
            // Digits that no float holds.
            ("9007199254740993", "9007199254740993"),
            ("[-0,0.10,1e5,1E-7,-12.5e+3]", "[-0,0.10,1e5,1E-7,-12.5e+3]"),
            (
                "[1e308,-1e308,0e99999,1e-99999]",
                "[1e308,-1e308,0e99999,1e-99999]",
            ),
            (r#""\u0050\/\"\\\n\ud83d\ude00é""#, r#""P/\"\\\u000a😀é""#),
            (
                r#"{"Labels":{"Foo":"1","foo":"2"}}"#,
                r#"{"Labels":{"Foo":"1","foo":"2"}}"#,
            ),
            ("\"\u{7f}\u{2028}\"", "\"\u{7f}\u{2028}\""),
        ] {
            assert_eq!(
                Json::read(text.as_bytes()).map(|json| json.to_string()),
                Ok(want.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_readers_could_differ_about_is_refused() {
        for text in [
            "",
            " ",
            "{} {}",
            "{}x",
            "[1,]",
            "[1 2]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":1,\"a\":1}",
            // The same key, once with an escape.
            r#"{"Privileged":false,"\u0050rivileged":true}"#,
            "01",
            "+1",
            ".5",
            "1.",
            "1e",
            "-",
            "0x1",
            "NaN",
            "1e309",
            "[-1e99999999999999999999]",
            "nul",
            "True",
            "\"",
            "\"a\nb\"",
            r#""\x41""#,
            r#""\u12""#,
            r#""\u123g""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\udc00""#,
            r#""a\u0000b""#,
            "/* */1",
            "\u{feff}{}",
        ] {
            assert!(Json::read(text.as_bytes()).is_err(), "{text}");
        }
        let keys = |count: usize, last: &str| {
            let keys: Vec<String> = (0..count).map(|at| format!("\"k{at}\":{at}")).collect();
            format!("{{{},\"{last}\":0}}", keys.join(","))
        };
        for count in [1, FEW_KEYS - 1, FEW_KEYS, FEW_KEYS + 1, 100] {
            assert!(Json::read(keys(count, "new").as_bytes()).is_ok(), "{count}");
            for twice in [
                "k0".to_owned(),
                format!("k{}", count - 1),
                "\\u006b0".to_owned(),
            ] {
                let text = keys(count, &twice);
                assert!(Json::read(text.as_bytes()).is_err(), "{text}");
            }
        }
        assert!(Json::read("1".repeat(309).as_bytes()).is_err());
        assert!(Json::read(b"\"\xff\"").is_err());
        assert!(Json::read("[".repeat(100_000).as_bytes()).is_err());
        assert!(Json::read(format!("[{}0]", "0,".repeat(VALUES)).as_bytes()).is_err());
        assert!(
            Json::read(format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)).as_bytes()).is_ok()
        );
    }

    /// Texts of words that are hard to scan, at every distance from the beginning.
    #[test]
    fn texts_are_read_as_serde_reads_them() {
        const WORDS: [&[u8]; 16] = [
            b"a",
            b"bcdefgh",
            b"ijklmnopqrstuvwxyz0123456789",
            b"\\n",
            b"\\\\",
            b"\\\"",
            b"\\u00e9",
            b"\\ud83d\\ude00",
            b"\\ud83d",
            b"\\u0000",
            b"\"",
            b"\x1f",
            b"\x7f",
            b"\xff",
            "é".as_bytes(),
            "😀".as_bytes(),
        ];
        let (mut seed, mut read) = (1_usize, 0);
        for round in 0..20_000 {
            let mut text = vec![b'"'];
            text.resize(1 + round % 9, b' ');
            for _ in 0..round % 7 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.extend_from_slice(WORDS[(seed >> 33) % WORDS.len()]);
            }
            text.push(b'"');
            let want = serde_json::from_slice::<String>(&text).ok();
            match Json::read(&text) {
                Ok(json) => {
                    assert_eq!(Some(json.text()), want.as_deref());
                    let written = json.to_text(0);
                    assert_eq!(written, json.to_string());
                    assert_eq!(Json::read(written.as_bytes()), Ok(json));
                    read += 1;
                }
                Err(wrong) => assert!(
                    want.is_none() || wrong.what == "a NUL in a text",
                    "{}: {wrong}",
                    text.escape_ascii()
                ),
            }
        }
        assert!((2_000..18_000).contains(&read), "{read}");
        let long = format!("\"{}\\n\"", "x".repeat(1 << 20));
        let json = Json::read(long.as_bytes()).expect("a long text");
        assert_eq!(json.text().len(), (1 << 20) + 1);
    }

    #[test]
    fn the_first_value_of_a_text_is_read_alone() {
        for (text, want) in [
            (r#"{"a":[1,{"b":2}]},{"c":3}"#, Some(17)),
            (r#"["]"] ]"#, Some(5)),
            ("{}", Some(2)),
            (r#"{"a":"b"#, None),
            (r#"{"a":[}"#, None),
            ("", None),
        ] {
            let found = Json::read_first(text);
            assert_eq!(found.as_ref().map(|(_, length)| *length), want, "{text}");
            if let Some((value, length)) = found {
                assert_eq!(Json::read(&text.as_bytes()[..length]), Ok(value));
            }
        }
    }

    #[test]
    fn keys_are_compared_as_go_does() {
        for (key, want) in [
            ("HostConfig", "hostconfig"),
            ("Ho\u{17f}tConfig", "hostconfig"),
            ("Networ\u{212a}Mode", "networkmode"),
            ("P\u{130}dMode", "pidmode"),
            ("ÄB", "Äb"),
            ("plain", "plain"),
        ] {
            assert_eq!(fold(key), want);
        }
    }
}
