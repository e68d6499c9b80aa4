"""Segments, their 75 features, and a classifier that drops false alarms and says why. 3 seconds.

Nothing here knows runs or files but the frames and the network of 02: the same works on logits of your own.

    python examples/04_meta_classifier.py runs/examples     writes meta_of_my_own.json
"""

import sys
from pathlib import Path

import pandas as pd

import segood
from segood.data import open_dataset
from segood.evaluation import match_segments
from segood.meta import MetaClassifier, cross_validate
from segood.segments import describe_feature, extract_segments

NETWORK = f"{Path(__file__).with_name('01_monitor_your_network.py')}:build"


def main(out: Path) -> None:
    model = segood.load_model(NETWORK, out / "finetuned/checkpoints/model.safetensors")
    frames = open_dataset("lost_and_found", out / "world/lost_and_found", "test", protocol="smiyc")
    tables, truths = [], []
    for image, target, frame in frames:
        logits = model.predict_logits(image, size=target.shape)
        segments = extract_segments(logits=logits, threshold=0.7, ignore=target == segood.IGNORE)
        match = match_segments(segments.labels, target)
        tables.append(segments.features.set_index([[frame] * len(segments), segments.features.index]))
        truths.append(match.segments["is_false_positive"])
    features, is_false_positive = pd.concat(tables), pd.concat(truths).to_numpy()

    groups = features.index.get_level_values(0)  # segments of one frame are not independent
    held_out = cross_validate(features, is_false_positive, groups=groups)
    print(f"{held_out.num_segments} segments, {held_out.num_false_positives} false: held-out accuracy")
    print(f"{held_out.accuracy:.2f}, guessing the commoner kind {held_out.naive_accuracy:.2f}")

    classifier = MetaClassifier().fit(features, is_false_positive)
    largest = features["size"].argmax()
    probability = classifier.predict_proba(features)[largest]
    print(f"largest segment, in {groups[largest]}: a false alarm with p = {probability:.3f}, because of")
    added = classifier.explain(features).iloc[largest]  # these and the intercept sum up to the logit
    for name in added.abs().nlargest(4).index:
        print(f"  {added[name]:+.2f}  {describe_feature(name, model.class_names)}")
    classifier.save(out / "meta_of_my_own.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
