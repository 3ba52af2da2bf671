//! A request as an upload, which a document needs.

use http_client::Call;
use serde_json::Value;

/// `multipart/form-data`, as uploads need it.
pub(super) fn multipart(call: Call, body: &Value, document: &Value) -> Call {
    let text = document["text"].as_str().unwrap_or_default();
    let mut boundary = "rilis-notify-part".to_owned();
    while text.contains(&boundary) {
        boundary.push('x');
    }
    let mut out = String::new();
    for (name, value) in body.as_object().into_iter().flatten().filter(|(name, _)| *name != "document") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    let name = document["name"].as_str().unwrap_or("log.txt");
    out.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"{name}\"\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--{boundary}--\r\n"
    ));
    call.body(&format!("multipart/form-data; boundary={boundary}"), out)
}
