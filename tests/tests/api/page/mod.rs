//! What a reader makes of the page in their own browser, and how it looks at any width.

mod columns;
mod keys;
mod killed;
mod letterbox;
mod live;
mod lost_answers;
mod notification;
mod pause;
mod pictures;
mod site_calibration;
mod thumbnails;
mod verdicts_in_a_row;

use serde_json::json;

use crate::browser::Browser;

/// Gives the page another size, in pixels of its own.
pub(crate) async fn resize(browser: &Browser, width: u32, height: u32) {
    let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
    browser.becomes(&format!("return innerWidth === {width} && innerHeight === {height}")).await;
    // The page hears of its size with the next frame, and lays its columns out then.
    browser.drawn().await;
}
