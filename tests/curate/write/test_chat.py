from medmix.curate.record import ImageRef, Record
from medmix.curate.write.chat import messages

PLAIN = {"source": "s", "key": "1", "split": "train", "file": "f", "row": 0, "group": "g"}
IMAGE = {"type": "image", "text": None}


def turns(**fields) -> tuple[list, str]:
    user, assistant = messages(Record(**PLAIN, **fields))
    assert (user["role"], assistant["role"]) == ("user", "assistant")
    (reply,) = assistant["content"]
    return user["content"], reply["text"]


def test_a_question_follows_its_images():
    content, answer = turns(
        task="vqa", question="Is it big?", answer="yes", images=(ImageRef("a.jpg"), ImageRef("b.jpg"))
    )
    assert content == [IMAGE, IMAGE, {"type": "text", "text": "Is it big?"}]
    assert answer == "yes"


def test_options_are_lettered_and_the_answer_has_letter_and_text():
    content, answer = turns(task="mcqa", question="Which?", choices=("Lung", "Liver"), correct=1, answer="Liver")
    assert content == [{"type": "text", "text": "Which?\nA. Lung\nB. Liver"}]
    assert answer == "B. Liver"


def test_a_context_comes_before_its_question_and_an_explanation_after_the_answer():
    content, answer = turns(task="qa", context="An abstract.", question="So?", answer="yes", explanation="Because.")
    assert content == [{"type": "text", "text": "An abstract.\n\nSo?"}]
    assert answer == "yes\nBecause."


def test_captions_and_reports_are_asked_for():
    assert turns(task="caption", answer="A lung.", images=(ImageRef("a.jpg"),))[0] == [
        IMAGE,
        {"type": "text", "text": "Describe this image."},
    ]
    assert turns(task="report", answer="Normal.")[0] == [{"type": "text", "text": "Write the report of this study."}]
