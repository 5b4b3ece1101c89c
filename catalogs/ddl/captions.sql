-- What one captioner said of one clip. Append-only: a new captioner adds rows beside the old. The measures of a text
-- are those of its cleaned form; they are null in rows of format 2, where there is no text, and as their comments say.
-- output: text_hash, status
CREATE TABLE captions (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    clip_id VARCHAR NOT NULL CHECK (length(clip_id) = 32),  -- the clip
    clip_sha256 VARCHAR NOT NULL CHECK (length(clip_sha256) = 64),  -- sha256 of the canonical clip that was looked at
    captioner VARCHAR NOT NULL,  -- kind of the captioner
    captioner_revision VARCHAR NOT NULL,  -- model id and revision, or the version of the rule
    prompt_hash VARCHAR,  -- the prompt; null for captioners without one
    frame_indices INTEGER[],  -- frames that were looked at; null for captioners that look at none
    raw_text_hash VARCHAR,  -- the text as it came; null where there is none
    text_hash VARCHAR,  -- the cleaned text; null where there is none
    cleaning_version INTEGER NOT NULL,  -- version of the caption cleaning
    tokens_in INTEGER,  -- tokens given to the captioner
    tokens_out INTEGER,  -- tokens that it made
    finish_reason VARCHAR,  -- why generation stopped
    status VARCHAR NOT NULL CHECK (status IN ('success', 'truncated', 'refused', 'empty', 'error')),  -- what became of it
    sampling VARCHAR,  -- what decides the words besides the prompt, JSON; null for rules and in rows of format 2
    frame_policy VARCHAR,  -- how frames were chosen; null for captioners that look at none
    seed BIGINT,  -- seed of the try that was kept
    tries INTEGER CHECK (tries > 0),  -- how often the captioner was asked
    other_raw_text_hashes VARCHAR[],  -- raw texts of the tries that were not kept, in their order
    n_words INTEGER,  -- words
    n_text_tokens INTEGER,  -- tokens that token_counter makes of it, the end token included, before anything is cut off
    token_counter VARCHAR,  -- the text encoder of the run that wrote the row, whose tokens were counted; null where they were not
    distinct_4grams DOUBLE,  -- share of the runs of four words that are different; null below four words
    prompt_overlap DOUBLE,  -- share of the runs of four words (or of all, where it has fewer) that are in the prompt; null without one
    is_refusal BOOLEAN,  -- it says that the captioner will not or cannot say
    language VARCHAR,  -- en, latin (another language, or too short to tell), or the name of another script; null without letters
    english_share DOUBLE,  -- share of the words that are function words of English; null without words
    agreement DOUBLE,  -- how far the text is of this clip, by agreement_by; null where that cannot tell
    agreement_by VARCHAR,  -- kind and revision of the scorer; null where there is none
    flags VARCHAR[],  -- what is wrong with it by the thresholds of its run: empty, too_short, too_long, cut_off, repetitive, prompt_echo, refusal, language, low_agreement
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
