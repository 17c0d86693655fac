"""The sample submissions of real image competitions: what each asks for is recognised, and a valid file is written.

(slug, sample, classes, further facts, submission format, pattern of the first row's cells). Samples are the first
rows of Kaggle's own; `...` columns are spelled out or left out. Sources: the competitions' data pages.
"""

import re
from dataclasses import replace

import numpy as np
import pytest

from kaggle_cnn.competition import submission
from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.competition.layouts.labels import are_numbered
from kaggle_cnn.competition.submission_format import guess_format
from kaggle_cnn.competition.table import read_header, read_table, write_table
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.decision import Decision

NUMBER = r"0\.\d+(e-\d+)?"
RULES = {
    "multiclass": Decision("argmax"),
    "multilabel": Decision("threshold", 0.3),
    "multioutput": Decision("argmax", heads=[2, 2, 2]),
    "regression": Decision("value"),
}


BENGALI = {"consonant_diacritic=0": 0, "consonant_diacritic=1": 0, "grapheme_root=15": 1, "grapheme_root=22": 1,
           "vowel_diacritic=3": 2, "vowel_diacritic=9": 2}  # fmt: skip
SHAPES = {"colour=blue": 0, "colour=red": 0, "shape=round": 1, "shape=square": 1}


def targets(classes):
    return {"kind": "multioutput", "label_columns": tuple(dict.fromkeys(name.partition("=")[0] for name in classes))}


def digits(count):
    return [str(number) for number in range(count)]


SEEDLINGS = ["Black-grass", "Maize", "Scentless Mayweed", "Sugar beet"]
CASSAVA = ["Bacterial Blight", "Brown Streak Disease", "Green Mottle", "Mosaic Disease", "Healthy"]
DOGS = ["affenpinscher", "afghan_hound", "black-and-tan_coonhound"]
HEMORRHAGE = ["any", "epidural", "intraparenchymal"]
SEPARATE, NUMBERS = {"kind": "multilabel"}, {"kind": "regression"}

ASKED = [
    # A. the class's name
    ("simpsons", "id,character\n1,gil\n2,disco_stu\n", ["disco_stu", "gil", "lisa_simpson"], {}, "class_name", "disco_stu|gil"),
    ("cifar-10", "id,label\r\n1,cat\r\n2,cat\r\n", ["airplane", "cat", "dog"], {}, "class_name", "airplane|cat|dog"),
    ("plant-seedlings", "file,species\nf900b7684.png,Sugar beet\n9a8531ba0.png,Sugar beet\n", SEEDLINGS, {}, "class_name",
     "|".join(SEEDLINGS)),
    ("paddy-disease", "image_id,label\n101853.jpg,\n105016.jpg,\n", ["blast", "hispa", "normal"], {}, "class_name",
     "blast|hispa|normal"),
    ("street-view", "ID,Class\n6284,A\n6285,b\n", ["0", "A", "B", "b"], {}, "class_name", "[0ABb]"),
    # B. the class's number
    ("digit-recognizer", "ImageId,Label\n1,0\n2,0\n", digits(10), {}, "class_id", r"\d"),
    ("aptos2019", "id_code,diagnosis\nb460ca9fa26f,0\n6cee2e148520,0\n", digits(5), {}, "class_id", "[0-4]"),
    ("diabetic-retinopathy", "image,level\n1_left,0\n1_right,0\n", digits(5), {}, "class_id", "[0-4]"),
    ("cassava", "image_id,label\n1000471002.jpg,4\n1000840542.jpg,4\n", CASSAVA, {"label_values": digits(5)}, "class_id", "[0-4]"),
    ("herbarium-2020", "Id,Predicted\n0,0\n1,0\n", digits(12), {}, "class_id", r"\d+"),
    ("herbarium-2022", "Id,Predicted\n0,42\n1,42\n", [*digits(5), "42"], {}, "class_name", r"\d+"),
    ("iwildcam-2019", ",Id,Category\n0,5998cfa4-23d2,0\n4,599fbd89-23d2,0\n", digits(14), {}, "class_id", r"\d+"),
    ("iwildcam-2020", "Id,Category\n879d74d8-21bc-11ea,559\n", ["2", "559", "670"], {}, "class_name", "2|559|670"),
    ("cdiscount", "_id,category_id\n2,1000000055\n5,1000016018\n", ["1000000055", "1000016018"], {}, "class_name", r"\d{10}"),
    ("recursion", "id_code,sirna\nHEPG2-08_1_B03,911\nHEPG2-08_1_B04,911\n", ["3", "911", "1000"], {}, "class_name", r"\d+"),
    ("histopathologic", "id,label\n0b2ea2a822ad,0\n95596b92e506,0\n", digits(2),
     {"metric_words": "Area Under Receiver Operating Characteristic Curve"}, "probability", NUMBER),
    # C. one score
    ("aerial-cactus", "id,has_cactus\n000940378805c44108d287872b2f04ce.jpg,0.5\n", digits(2), {}, "probability", NUMBER),
    ("dogs-vs-cats-redux", "id,label\n1,0.5\n2,0.5\n", ["cat", "dog"], {}, "probability", NUMBER),
    ("invasive-species", "name,invasive\n2,0.5\n5,0\n", digits(2), {}, "probability", NUMBER),
    ("siim-isic-melanoma", "image_name,target\nISIC_0052060,0.7\n", digits(2), {}, "probability", NUMBER),
    ("siim-isic-melanoma of zeros", "image_name,target\nISIC_0052060,0\n", digits(2),
     {"metric_words": "Area Under Receiver Operating Characteristic Curve"}, "probability", NUMBER),
    ("isic-2024", "isic_id,target\nISIC_0015657,0.7\n", digits(2), {}, "probability", NUMBER),
    ("statoil-iceberg", "id,is_iceberg\n809385f7,0.5\n", digits(2), {}, "probability", NUMBER),
    ("alaska2", "Id,Label\n0001.jpg,0\n0002.jpg,0\n", ["Cover", "Stego"], {"metric_words": "Alaska weighted AUC"}, "probability", NUMBER),
    ("rsna-miccai", "BraTS21ID,MGMT_value\n00001,0.5\n00013,0.5\n", digits(2), {}, "probability", NUMBER),
    ("rsna-breast-cancer", "prediction_id,cancer\n10116_L,0.0205\n10116_R,0.0205\n", digits(2), {}, "probability", NUMBER),
    ("seti", "id,target\n0cee567456cd304,0.5\n", digits(2), {}, "probability", NUMBER),
    # D. a probability for each class
    ("leaf", "id,Acer_Capillipes,Acer_Circinatum\n4,0.5,0.5\n7,0.5,0.5\n", ["Acer_Capillipes", "Acer_Circinatum"], {},
     "probability_columns", NUMBER),
    ("dog-breed", f"id,{','.join(DOGS)}\n9f68d045,0.3,0.3,0.3\n", DOGS, {}, "probability_columns", NUMBER),
    ("plant-pathology-2020", "image_id,healthy,multiple_diseases,rust,scab\nTest_0,0.25,0.25,0.25,0.25\n",
     ["healthy", "multiple_diseases", "rust", "scab"], {}, "probability_columns", NUMBER),
    ("state-farm", f"img,{','.join(f'c{n}' for n in range(10))}\nimg_0.jpg,1,0,0,0,0,0,0,0,0,0\n",
     [f"c{n}" for n in range(10)], {}, "probability_columns", NUMBER),
    ("fisheries", "image,ALB,BET,NoF,YFT\nimg_00001.jpg,1,0,0,0\n", ["ALB", "BET", "NoF", "YFT"], {}, "probability_columns",
     NUMBER),
    ("cervical-cancer", "image_name,Type_1,Type_2,Type_3\n0.jpg,0.1,0.2,0.7\n", ["Type_1", "Type_2", "Type_3"], {},
     "probability_columns", NUMBER),
    ("plankton", "image,protist_big,artifacts,copepod\n1.jpg,0.3,0.3,0.3\n10.jpg,0.3,0.3,0.3\n",
     ["artifacts", "copepod", "protist_big"], {}, "probability_columns", NUMBER),
    ("galaxy-zoo as classes", "GalaxyID,Class1.1,Class1.2,Class1.3\n100018,0,0,0\n", ["Class1.1", "Class1.2", "Class1.3"], {},
     "probability_columns", NUMBER),
    ("mayo-clinic", "patient_id,CE,LAA\n01f2b3,0.5,0.5\n04de22,0.5,0.5\n", ["CE", "LAA"], {}, "probability_columns", NUMBER),
    ("harmful-brain", "eeg_id,seizure_vote,lpd_vote\n2578018731,0.5,0.5\n", ["LPD", "Seizure"], {}, "probability_columns", NUMBER),
    # E. several labels
    ("plant-pathology-2021", "image,labels\n85f8cb619c66b863.jpg,healthy\n", ["complex", "healthy", "rust"], SEPARATE,
     "multi_label", r"(complex|healthy|rust)( (healthy|rust))*"),
    ("planet", "image_name,tags\ntest_0,primary clear agriculture road water\n", ["clear", "primary", "road"], SEPARATE,
     "multi_label", r"(clear|primary|road)( (primary|road))*"),
    ("human-protein-atlas", "Id,Predicted\n00008af0-bad0-11e8-b2b8-ac1f6b6435d0,0 1\n", digits(28), SEPARATE, "multi_label",
     r"\d+( \d+)*"),
    ("imet-2020", "id,attribute_ids\n00011f01965f141f5d1eea6592fa9862,0 1 2\n", ["country", "culture", "dimension"],
     {**SEPARATE, "label_values": digits(3)}, "multi_label", r"\d( \d)*"),
    ("yelp", "business_id,labels\n1000,1 2 3 4 5 6 7\n1001,0 1 6 8\n", digits(9), SEPARATE, "multi_label", r"\d( \d)*"),
    ("ranzcr-clip", "StudyInstanceUID,ETT - Abnormal,ETT - Borderline\n1.2.826.0,0,0\n", ["ETT - Abnormal", "ETT - Borderline"],
     SEPARATE, "probability_columns", NUMBER),
    ("rsna-hemorrhage", "ID,Label\n" + "".join(f"ID_{image}_{part},0.5\n" for image in ("28fbab7eb", "877923b8b")
     for part in HEMORRHAGE), HEMORRHAGE, SEPARATE, "long", NUMBER),
    ("bengaliai", "row_id,target\n" + "".join(f"Test_{image}_{part},0\n" for image in (0, 1) for part in
     ("consonant_diacritic", "grapheme_root", "vowel_diacritic")), list(BENGALI), targets(BENGALI), "long", "[01]"),
    ("several targets, a column each", "id,colour,shape\n1,red,round\n2,red,round\n", list(SHAPES), targets(SHAPES),
     "target_columns", "red|blue|round|square"),
    ("csiro-biomass", "sample_id,target\n" + "".join(f"ID10011879{image}__{part},0.0\n" for image in (75, 81) for part in
     ("Dry_Clover_g", "Dry_Dead_g", "GDM_g")), ["Dry_Clover_g", "Dry_Dead_g", "GDM_g"], NUMBERS, "long", r"-?\d+\.\d+"),
    ("cervical-spine", "row_id,fractured\n" + "".join(f"1.2.826.0.1.3680043.{image}_{part},0.5\n" for image in (6200, 27016)
     for part in ("C1", "C2", "patient_overall")), ["C1", "C2", "patient_overall"], SEPARATE, "long", NUMBER),
    # F. the most probable few
    ("humpback-whale", "Image,Id \n00028a005.jpg,new_whale w_23a388d w_9b5109b w_9c506f6 w_0369a5c\n",
     ["new_whale", "w_0369a5c", "w_23a388d", "w_9b5109b", "w_9c506f6", "w_1"], {}, "top_k", r"\w+( \w+){4}"),
    ("hotel-id", "image,hotel_id\n99e91ad5f2870678.jpg,36363 53586 18807 64314 60181\n",
     ["18807", "36363", "53586", "60181", "64314"], {}, "top_k", r"\d+( \d+){4}"),
    ("inaturalist-2019", "id,predicted\n268243,71 108 339 341 560\n", digits(1010), {}, "top_k", r"\d+( \d+){4}"),
    ("inaturalist-2019 of one", "id,predicted\n177388,654\n", digits(1010), {}, "class_id", r"\d+"),
    # G. numbers
    ("petfinder-pawpularity", "Id,Pawpularity\nee51b99832f1ba868f646df93d2b6b81,64.06\n", ["Pawpularity"], NUMBERS, "value",
     r"-?\d+\.\d+"),
    ("galaxy-zoo", "GalaxyID,Class1.1,Class1.2,Class1.3\n100018,0,0,0\n", ["Class1.1", "Class1.2", "Class1.3"], NUMBERS,
     "value", r"-?\d+\.\d+"),
    ("galaxy-zoo in another order", "GalaxyID,Class1.3,Class1.1,Class1.2\n100018,0,0,0\n",
     ["Class1.1", "Class1.2", "Class1.3"], NUMBERS, "value", r"-?\d+\.\d+"),
    ("numbers of another name", "id,Predicted\n7,0\n", ["age"], NUMBERS, "value", r"-?\d+\.\d+"),
]  # fmt: skip

REFUSED = [
    ("tgs-salt", "id,rle_mask\n155410d6fa,1 1\n", "masks"),
    ("vinbigdata", "image_id,PredictionString\n002a34c58c5b758217ed1f584ccbcfe9,14 1 0 0 1 1\n", "boxes"),
    ("siim-covid19", "id,PredictionString\n00188a671292_study,negative 1 0 0 1 1\n", "boxes"),
    ("kuzushiji", "image_id,labels\numgy007-028,U+003F 1 1 U+FF2F 2 2\n", "places in the image"),
    ("denoising", "id,value\n110_1_1,1\n110_1_2,1\n", "a value for every pixel"),
    ("bms", "image_id,InChI\n00000d2a601c,InChI=1S/H2O/h1H2\n", "texts"),
    ("hpa-single-cell", "ID,ImageWidth,ImageHeight,PredictionString\na,2048,2048,0 1 eNo\n", "boxes"),
    ("numbers for classes", "Id,Pawpularity\nee51b99832f1ba868f646df93d2b6b81,64.06\n", "numbers such as 64.06"),
]


def nowhere(ids):
    return False


@pytest.mark.parametrize(("slug", "text", "classes", "facts", "form", "cell"), ASKED, ids=[row[0] for row in ASKED])
def test_the_format_of_a_sample_is_recognised_and_written(tmp_path, slug, text, classes, facts, form, cell):
    (tmp_path / "sample_submission.csv").write_bytes(text.encode())
    sample = read_table(tmp_path / "sample_submission.csv")
    kind, words = facts.get("kind", "multiclass"), facts.get("metric_words", "")
    label_values = facts.get("label_values", [])
    asked = guess_format(sample, classes, label_values, kind, words, nowhere, facts.get("label_columns", ()))
    assert asked["submission_format"] == form
    if form == "class_id" and not label_values and not are_numbered(classes):
        label_values = digits(len(classes))
    competition = Competition(
        folder=tmp_path, name=slug, host="local", source="", layout="table", classes=tuple(classes), kind=kind,
        label_values=tuple(label_values), sample="sample_submission.csv", metric_words=words,
        label_columns=facts.get("label_columns", ()), **asked,
    )  # fmt: skip
    competition.write()
    assert Competition.read(tmp_path) == competition
    ids = np.array(submission.test_ids(competition, sample))
    draw = np.random.default_rng(1).random((len(ids), len(classes)))
    scores = (draw / draw.sum(axis=1, keepdims=True)).astype(np.float32)
    if kind == "regression":
        scores = np.random.default_rng(1).normal(0, 99, draw.shape).astype(np.float32)
    rule = replace(RULES[kind], heads=[count for _, count in competition.heads])
    decisions = rule.decide(scores)
    made = submission.make(competition, ids, scores, decisions)
    write_table(tmp_path / "made.csv", made)
    written = read_table(tmp_path / "made.csv")
    submission.check(competition, written, ids)

    assert read_header(tmp_path / "made.csv") == read_header(tmp_path / "sample_submission.csv")
    assert made[competition.id_column].tolist() == sample[competition.id_column].tolist()
    for column in competition.prediction_columns:
        assert re.fullmatch(cell, made[column].iloc[0]), made[column].iloc[0]
    for column in set(sample.columns) - {competition.id_column, *competition.prediction_columns}:
        assert made[column].tolist() == sample[column].tolist()
    if form in ("probability_columns", "value"):
        index = {name: place for place, name in enumerate(classes)}
        for column, name in zip(competition.prediction_columns, competition.class_columns, strict=True):
            assert np.allclose(made[column].astype(float), scores[:, index[name]])
    if competition.label_columns:  # several classes an image: not read back
        return
    read = submission.parse(competition, written)
    assert read.ids.tolist() == ids.tolist()
    if form in ("probability", "probability_columns", "long", "value"):
        assert np.allclose(read.scores, scores, atol=1e-5)
    elif form == "top_k":
        order = np.argsort(-scores, axis=1)[:, : competition.top_k]
        assert (np.argsort(-read.scores, axis=1)[:, : competition.top_k] == order).all()
        assert (read.decisions == order[:, 0]).all()
    else:
        assert (read.decisions == decisions).all()


@pytest.mark.parametrize(("slug", "text", "what"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_not_a_classification_is_refused(tmp_path, slug, text, what):
    (tmp_path / "sample.csv").write_text(text)
    with pytest.raises(KcnnError, match=f"does not support this task.*{what}"):
        guess_format(read_table(tmp_path / "sample.csv"), ["a", "b", "c"], [], "multiclass", "", nowhere)


def test_predictions_in_every_format(tmp_path):
    """Probabilities 0.2, 0.7, 0.1 of the classes b, a, c."""
    (tmp_path / "s.csv").write_text("id,x\n07,\n")
    chances = np.array([[0.2, 0.7, 0.1]], dtype=np.float32)

    def made(text="id,x\n07,\n", **fields):
        (tmp_path / "s.csv").write_text(text)
        competition = Competition(
            folder=tmp_path, name="x", host="local", source="", layout="table", classes=("b", "a", "c"), sample="s.csv",
            **{"prediction_columns": ("x",), **fields},
        )  # fmt: skip
        several = competition.submission_format == "multi_label"
        rule = Decision("threshold", 0.15) if several else Decision("argmax")
        return submission.make(competition, np.array(["07"]), chances, rule.decide(chances)).values.tolist()

    assert made(submission_format="class_name") == [["07", "a"]]
    assert made(submission_format="class_id") == [["07", "a"]]
    assert made(submission_format="class_id", label_values=("0", "1", "2")) == [["07", "1"]]
    assert made(submission_format="probability", positive="b") == [["07", "0.2"]]
    assert made(submission_format="multi_label", kind="multilabel") == [["07", "b a"]]
    assert made(submission_format="multi_label", label_values=("5", "6", "7"), separator="|") == [["07", "5|6"]]
    assert made(submission_format="top_k", top_k=2) == [["07", "a b"]]
    columns = {"prediction_columns": ("A", "B", "C"), "class_columns": ("a", "b", "c")}
    assert made("id,A,B,C\n07,,,\n", submission_format="probability_columns", **columns) == [
        ["07", "0.7", "0.2", "0.1"]
    ]
    rows = made("id,x\n07_c,\n07_a,\n07_b,\n", submission_format="long", class_columns=("c", "a", "b"))
    assert [row[0] for row in rows] == ["07_c", "07_a", "07_b"]
    assert np.allclose([float(row[1]) for row in rows], [0.1, 0.7, 0.2])
    numbers = {"kind": "regression", "submission_format": "value", "prediction_columns": ("A", "B", "C")}
    assert made("id,A,B,C\n07,,,\n", class_columns=("a", "b", "c"), **numbers) == [["07", "0.7", "0.2", "0.1"]]


@pytest.mark.parametrize(
    ("submission_format", "cells", "error"),
    [
        ("probability", ["x", "0.5"], "a cell that is not a number, the first is '1'"),
        ("probability", ["0.5", "inf"], "a cell that is not a number, the first is '2'"),
        ("probability_columns", ["0.5", "1.5"], "below 0 or above 1, the first is '2'"),
        ("value", ["64", "nan"], "have no label, the first is '2'"),
        ("value", ["-64.5", "1e999"], "a cell that is not a number, the first is '2'"),
        ("long", ["0.5", "half"], "a cell that is not a number, the first is '2'"),
        ("class_id", ["0", "2"], "not in the competition, the first is '2'"),
        ("multi_label", ["a b", "a d"], "not in the competition, the first is 'd'"),
        ("top_k", ["b", ""], "have no label, the first is '2'"),
    ],
)
def test_what_is_wrong_with_other_formats(tmp_path, submission_format, cells, error):
    competition = Competition(
        folder=tmp_path, name="x", host="local", source="", layout="table", classes=("a", "b"),
        submission_format=submission_format, prediction_columns=("x",), class_columns=("a",),
        label_values=("0", "1") if submission_format == "class_id" else (),
    )  # fmt: skip
    (tmp_path / "made.csv").write_text("id,x\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells, 1)))
    with pytest.raises(KcnnError, match=error):
        submission.check(competition, read_table(tmp_path / "made.csv"), np.array(["1", "2"]))
