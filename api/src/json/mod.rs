//! JSON bodies, as actix-web reads and writes them, with one rule more: an object is an object. serde takes an array for a
//! struct, its members in the order in which they are declared, so that `[null, null]` would be a body of two fields that
//! nobody named, and a field that is added would change what an array means.

mod by_name;

use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, Responder, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use self::by_name::ByName;

/// A body that is read, or answered. Bounds and problems are those of [`web::JsonConfig`].
pub(crate) struct Json<T>(pub(crate) T);

impl<T> Json<T> {
    /// What was in the body.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A value whose structs are read from objects only.
struct OfObjects<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OfObjects<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(ByName(deserializer)).map(Self)
    }
}

type Reading<T> = <web::Json<OfObjects<T>> as FromRequest>::Future;

/// A body that is on its way.
pub(crate) struct Body<T: DeserializeOwned>(Pin<Box<Reading<T>>>);

impl<T: DeserializeOwned> Future for Body<T> {
    type Output = Result<Json<T>, Error>;

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(context).map_ok(|read| Json(read.into_inner().0))
    }
}

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Error;
    type Future = Body<T>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Body(Box::pin(web::Json::from_request(request, payload)))
    }
}

impl<T: Serialize> Responder for Json<T> {
    type Body = <web::Json<T> as Responder>::Body;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse<Self::Body> {
        web::Json(self.0).respond_to(request)
    }
}

/// Reads a body that is at hand as [`Json`] reads others.
///
/// # Errors
/// It is not the JSON that is expected.
pub(crate) fn from_slice<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body).map(|OfObjects(read)| read)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Point {
        x: Option<i32>,
        y: Option<i32>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Everything<'a> {
        points: Vec<Point>,
        named: BTreeMap<String, Point>,
        pair: (u8, u8),
        #[serde(borrow)]
        text: Cow<'a, str>,
        shape: Shape,
        maybe: Option<Point>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        Empty,
        Dot(Point),
        Line { from: u8, to: u8 },
        Pair(u8, u8),
    }

    const WHOLE: &str = r#"{"points":[{"x":1,"y":2}],"named":{"a":{"x":null}},"pair":[1,2],"text":"t",
        "shape":{"line":{"from":1,"to":2}},"maybe":{"y":3}}"#;

    fn read(text: &str) -> Result<Everything<'_>, String> {
        from_slice(text.as_bytes()).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn what_is_written_by_name_is_read_as_it_is() {
        let read = read(WHOLE).expect("read");
        let expected: Everything<'_> = serde_json::from_str(WHOLE).expect("read");
        assert_eq!(read, expected);
        assert!(matches!(read.text, Cow::Borrowed("t")), "nothing is copied");
        for shape in [r#""empty""#, r#"{"dot":{"x":1}}"#, r#"{"pair":[1,2]}"#] {
            let read: Shape = from_slice(shape.as_bytes()).expect(shape);
            assert_eq!(read, serde_json::from_str(shape).expect(shape), "{shape}");
        }
    }

    #[test]
    fn an_array_is_no_struct_wherever_it_stands() {
        for (object, array) in [
            (r#"{"x":1,"y":2}"#, "[1,2]"),
            (r#"{"x":null}"#, "[null,null]"),
            (r#"{"from":1,"to":2}"#, "[1,2]"),
            (r#"{"y":3}"#, "[null,3]"),
        ] {
            let text = WHOLE.replace(object, array);
            assert_ne!(text, WHOLE);
            assert!(serde_json::from_str::<Everything<'_>>(&text).is_ok(), "serde takes {text}");
            let error = read(&text).expect_err(&text);
            assert!(error.contains("invalid type: sequence"), "{error}");
        }
        assert!(from_slice::<Point>(b"[1,2]").is_err());
    }
}
