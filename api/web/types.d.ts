// What the server's answers hold, for the type check of `make check`. Named and written like the schemas of
// /openapi.json, which a test compares with this. Not served.

/** One image. */
export interface ImageItem {
  id: string;
  status: string;
  reason: string | null;
  reason_text: string | null;
  reason_detail: string | null;
  site: string | null;
  priority: string;
  received_at: string;
  finished_at: string | null;
  result: ResultBody | null;
  withheld: string | null;
  patient: PatientBody | null;
  /** Whose image it is could not be read. */
  identity_unavailable?: boolean;
  study: StudyBody | null;
  series: SeriesBody | null;
  instance: InstanceBody | null;
  reading: ReadingBody | null;
  /** Not in lists. */
  verdict?: VerdictMark | null;
  /** What a verdict on what is shown here names. Not in lists. */
  verdicts_etag?: string | null;
}

/** A picture that is taken out of the page. */
export interface CopyBody {
  to: string;
  heatmap?: boolean;
}

/** How far an image has been read, by whom, and how long it waits. */
export interface ReadingBody {
  state: string;
  by: string | null;
  since: string | null;
  until: string | null;
  readers: ReadersBody | null;
  waiting_since: string | null;
  overdue_at: string | null;
  /** In lists only. */
  waiting_seconds?: number | null;
}

/** The readers of an image that two read for themselves. */
export interface ReadersBody {
  given: number;
  needed: number;
  mine: boolean;
}

/** Whoever has an image open. */
export interface ClaimBody {
  mine: boolean;
  by: string | null;
  since: string | null;
  until: string | null;
}

/** Whom an image shows. */
export interface PatientBody {
  id: string | null;
  issuer: string;
  name: string | null;
  birth_date: string | null;
  sex: string | null;
  age: string | null;
  former: string | null;
  given_name: string | null;
}

/** The examination. */
export interface StudyBody {
  uid: string | null;
  id: string | null;
  accession: string | null;
  date: string | null;
  time: string | null;
  description: string | null;
  referring_physician: string | null;
}

/** The series. */
export interface SeriesBody {
  uid: string | null;
  modality: string | null;
  number: number | null;
  description: string | null;
  body_part: string | null;
}

/** The image as an instance. */
export interface InstanceBody {
  uid: string | null;
  class: string | null;
  transfer_syntax: string | null;
  number: number | null;
  view_position: string | null;
  rows: number | null;
  columns: number | null;
  bits_stored: number | null;
  replaces: string | null;
  warnings: string[];
}

/** Earlier images of the same patient. */
export interface Priors {
  items: ImageItem[];
  statement_of_use: string;
}

/** What the network saw. */
export interface ResultBody {
  model: ModelBody;
  probability: number;
  threshold: number;
  flagged: boolean;
  label: string;
  subtype: SubtypeBody | null;
  heatmap: boolean;
  warnings: string[];
  timings_ms: Record<string, number>;
  statement_of_use: string;
}

/** Which weights, exactly. */
export interface ModelBody {
  version: string;
  sha256: string;
  preprocessing: string;
}

/** The second output. */
export interface SubtypeBody {
  label: string;
  probability: number;
  experimental: boolean;
}

/** The newest verdict on an image that was not withdrawn, in short. */
export interface VerdictMark {
  id: string;
  opinion: string;
  label: string | null;
  seen: boolean;
  at: string;
}

/** What a reader says of an image. */
export interface VerdictBody {
  model_version?: string | null;
  opinion: string;
  label?: string | null;
  causes?: string[] | null;
  note?: string | null;
  reason?: string | null;
  displayed?: string[];
  rendering?: string | null;
}

/** One verdict. */
export interface VerdictItem {
  id: string;
  image: string;
  model_version: string | null;
  opinion: string;
  label: string | null;
  causes: string[];
  note: string | null;
  reason: string | null;
  reader: string;
  role: string;
  displayed: string[];
  rendering: string | null;
  at: string;
  withdrawn_at: string | null;
}

/** The verdicts on one image. */
export interface VerdictList {
  items: VerdictItem[];
  withheld: string | null;
}

/** What a reader sees in a picture whose result they were not shown. */
export interface OpinionBody {
  label?: string | null;
  rendering?: string | null;
}

/** A page of images. */
export interface ImagePage {
  items: ImageItem[];
  next: string | null;
  total: number;
  last_event: number;
  statement_of_use: string;
}

/** Who is signed in, and what they may. */
export interface SessionBody {
  id: string;
  name: string;
  kind: string;
  grants: string[];
  rights: Record<string, string[] | null>;
  csrf_token: string | null;
  expires_at: string | null;
  idle_seconds: number | null;
  codes: boolean | null;
  opinion_first: boolean;
  external: boolean;
}

/** One of a person's own sessions. */
export interface SessionItem {
  id: string;
  client: string;
  opened_at: string;
  used_at: string;
  expires_at: string;
  current: boolean;
}

/** Whose password a link sets. */
export interface Linked {
  name: string;
}

/** What an app that makes codes takes in. */
export interface TotpOffer {
  secret: string;
  uri: string;
}

/** A person. */
export interface PersonItem {
  id: string;
  name: string;
  grants: string[];
  disabled: boolean;
  password: boolean;
  totp: boolean;
  external: boolean;
  added_at: string;
}

/** A person with a one-time link. */
export interface Invitation {
  person: PersonItem;
  link_secret: string;
}

/** A machine's token. */
export interface TokenItem {
  id: string;
  name: string;
  grants: string[];
  added_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  used_at: string | null;
}

/** A new token. */
export interface NewTokenItem {
  token: TokenItem;
  secret: string;
  s3?: { access_key_id: string; secret_access_key: string };
}

/** What is left of an erased image. */
export interface ErasedItem {
  id: string;
  state: "erased" | "erasing";
  asked_at: string;
  /** Null until the bucket has deleted it. */
  erased_at: string | null;
}

/** A site. */
export interface SiteItem {
  name: string;
  added_at: string;
}

/** Files that were uploaded together. */
export interface BatchItem {
  id: string;
  site: string | null;
  uploaded_by: string | null;
  opened_at: string;
  last_at: string;
  files: number;
  counts: BatchCountsBody;
  /** Null for whoever is asked for an opinion first. */
  flagged: number | null;
  duplicates: number;
  reasons: BatchReason[];
}

/** What became of the files of a batch. */
export interface BatchCountsBody {
  arriving: number;
  queued: number;
  analysing: number;
  ready: number;
  needs_human: number;
  failed: number;
  superseded: number;
  removed: number;
  erased: number;
  put_aside: number;
}

/** Images that were not assessed for one reason. */
export interface BatchReason {
  status: string;
  reason: string;
  reason_text: string;
  images: number;
}

/** One page of batches. */
export interface BatchList {
  items: BatchItem[];
  next: string | null;
  total: number;
}

/** What is tried again. */
export interface BatchRetried {
  images: number;
}
