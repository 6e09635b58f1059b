"""A process of its own that downloads through tensorflow-datasets; started by `download`.

Reads one JSON object from standard input (`folder`, `progress` and `files`, each with
`url`, `name` and, where pinned, `sha256` and `size`) and writes one to standard output:
`{"paths": {url: path}}` or `{"error": line}`. Imports nothing of this package.
"""

import json
import sys


def fetch(folder: str, files: list[dict], *, progress: bool = False) -> dict[str, str]:
    """Download with pinned sums registered; the path of each URL's file in `folder`.

    The download manager asks the given addresses only: Google's storage bucket of prepared data
    sets (`try_download_gcs`) belongs to data set builders, and there is none here.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import units
    from tensorflow_datasets.core.download import checksums

    if not progress:
        tfds.disable_progress_bar()
    pinned = {
        file["url"]: checksums.UrlInfo(
            size=units.Size(file["size"]), checksum=file["sha256"], filename=file["name"]
        )
        for file in files
        if file["sha256"] and file["size"] is not None
    }
    manager = tfds.download.DownloadManager(
        download_dir=folder,
        url_infos=pinned,
        force_checksums_validation=len(pinned) == len(files),
    )
    paths = manager.download({file["url"]: file["url"] for file in files})
    return {url: str(path) for url, path in paths.items()}


def main() -> None:
    request = json.load(sys.stdin)
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints must not mix with the answer
    try:
        paths = fetch(request["folder"], request["files"], progress=request["progress"])
        answer = {"paths": paths}
    except Exception as error:  # every failure becomes the one line that the parent shows
        line = (str(error).splitlines() or [""])[0]
        answer = {"error": f"{type(error).__name__}: {line}"}
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
