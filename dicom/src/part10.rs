//! The file that an instance is stored as (PS3.10, 7.1): preamble, File Meta Information, data set.

use bytes::BytesMut;
use dicom_object::meta::FileMetaTableBuilder;
use lobar_core::study::Uid;

use crate::tables::{IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION};

/// What goes before the data set. It names neither sender nor time, so that the same instance makes the same file.
pub(crate) fn head(class: &Uid, instance: &Uid, transfer_syntax: &str) -> Option<BytesMut> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class.as_str())
        .media_storage_sop_instance_uid(instance.as_str())
        .transfer_syntax(transfer_syntax)
        .implementation_class_uid(IMPLEMENTATION_CLASS)
        .implementation_version_name(IMPLEMENTATION_VERSION)
        .build()
        .ok()?;
    let mut head = vec![0; 128];
    head.extend(b"DICM");
    meta.write(&mut head).ok()?;
    Some(BytesMut::from(&head[..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_set::tests::data_set;
    use crate::tables::Encoding;

    #[test]
    fn the_file_is_one_that_others_read() {
        let (class, instance) =
            (Uid::parse("1.2.3").expect("one"), Uid::parse("1.2.3.4").expect("one"));
        let mut file = head(&class, &instance, "1.2.840.10008.1.2.1").expect("a head");
        file.extend(data_set(Encoding::Explicit, "1.2.3", "1.2.3.4"));
        let read = dicom_object::from_reader(&file[..]).expect("a file");
        assert_eq!(read.meta().media_storage_sop_instance_uid(), "1.2.3.4");
        assert_eq!(read.meta().transfer_syntax(), "1.2.840.10008.1.2.1");
    }
}
