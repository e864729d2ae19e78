// Whom an image shows, in words.

/** @import { ImageItem, PatientBody } from "./types.js" */

/** A name as DICOM writes it, as people do: `Doe^Jane` is Doe, Jane. @param {string | null} name */
function nameWords(name) {
  const group = (name ?? "").split("=").find((one) => one.replaceAll("^", "").trim()) ?? "";
  const [family, given, middle, prefix, suffix] = group.split("^").map((part) => part.trim());
  const first = [prefix, given, middle, suffix].filter(Boolean).join(" ");
  return [family, first].filter(Boolean).join(", ");
}

/** @type {Record<string, string>} */
const UNITS = { Y: "y", M: "mo", W: "wk", D: "d" };

/** An age as DICOM writes it: `004Y` is 4 y. @param {string | null} age */
function ageWords(age) {
  const [, count, unit] = /^(\d{3})([DWMY])$/.exec(age ?? "") ?? [];
  return count && unit ? `${Number(count)} ${UNITS[unit]}` : "";
}

/** A date as DICOM writes it: `20260301` is 2026-03-01. @param {string | null | undefined} date */
export function dateWords(date) {
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)$/.exec(date ?? "") ?? [];
  return year ? `${year}-${month}-${day}` : "";
}

/** Who it is: the name, or else the id. @param {PatientBody} patient */
export const who = (patient) => nameWords(patient.name) || patient.id || "Patient without a name";

/** What tells them from others: id, age, sex. @param {ImageItem} image */
export function aboutPatient({ patient }) {
  if (!patient) return "";
  const birth = dateWords(patient.birth_date);
  const parts = [patient.id && `ID ${patient.id}`, ageWords(patient.age) || (birth && `born ${birth}`), patient.sex];
  return parts.filter(Boolean).join(" · ");
}

/** The same with the date of the study. @param {ImageItem} image */
export const particulars = (image) => [aboutPatient(image), image.patient && dateWords(image.study?.date)].filter(Boolean).join(" · ");

/** When the study was made, as far as the image says: its date, and hours and minutes. @param {ImageItem} image */
export function studyTime({ study }) {
  const [, hour, minute] = /^(\d\d)(\d\d)/.exec(study?.time ?? "") ?? [];
  const date = dateWords(study?.date);
  return date && hour ? `${date} ${hour}:${minute}` : date;
}

/** When an image was made: the date of its study, or when it was received. @param {ImageItem} image */
export const madeWords = (image) => dateWords(image.study?.date) || `received ${image.received_at.slice(0, 10)}`;

/** What is known of whose image it is, as rows of facts. @param {ImageItem} image @returns {[string, string | null | undefined][]} */
export function identityFacts(image) {
  const [patient, study, series, instance] = [image.patient, image.study, image.series, image.instance];
  const time = study?.time?.match(/../g)?.join(":");
  return [
    ["Patient", image.identity_unavailable ? "cannot be read at the moment" : patient && who(patient)],
    ["Patient ID", patient?.id && (patient.issuer ? `${patient.id} (${patient.issuer})` : patient.id)],
    ["ID in the file", patient?.former],
    ["Named in the file", patient?.given_name && nameWords(patient.given_name)],
    ["Born", dateWords(patient?.birth_date)],
    ["Study", study && [dateWords(study.date), time, study.description].filter(Boolean).join(" ")],
    ["Accession", study?.accession],
    ["Referred by", study?.referring_physician && nameWords(study.referring_physician)],
    ["Series", series && [series.modality, series.body_part, series.description].filter(Boolean).join(" ")],
    ["View", instance?.view_position],
    ["Replaces", instance?.replaces && `image ${instance.replaces.slice(0, 8)}, an older version of the same instance`],
  ];
}
