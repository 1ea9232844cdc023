"""The exercises that textbooks set after LeNet, in our own words: what to predict, what to run, what to look for.

After those of Zhang, Lipton, Li, Smola, "Dive into Deep Learning", section 7.6. Every number in them was measured
with the settings given here, seeds 0 to 2, on a CPU. Imports no PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lenet_core.data_sets import DATA_SETS
from lenet_core.knobs import turn
from lenet_core.recipes import Recipe, recipe_named
from lenet_core.runs import Plan

QUICK = {"data": "mnist-5k"}  # 3,600 digits to learn from: a pass takes a second or so
_TEXTBOOK = {**QUICK, "batch_size": "32", "epochs": "5"}  # smaller batches than the book's: more steps from few digits


@dataclass(frozen=True)
class Setting:
    """One of the trainings of an exercise: its name there, and the knobs that are turned beyond the exercise's own."""

    label: str
    changes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    The learner answers `question` before anything is shown: with one of `options`, or where there are none with the
    accuracy of the setting labelled `asks`, in percent. Then `settings` are trained, each the recipe `base` with the
    knobs `shared` turned; an exercise without settings opens the Look inside page at `look`, the parameters of its
    address. `look_for` says what there is to see, `hint` how to think of it beforehand.
    """

    key: str
    title: str
    question: str
    hint: str
    look_for: str
    options: tuple[str, ...] = ()
    asks: str = ""
    settings: tuple[Setting, ...] = ()
    base: str = "lenet-modern"
    shared: Mapping[str, str] = field(default_factory=lambda: QUICK)
    look: Mapping[str, str] = field(default_factory=dict)

    def recipe(self, setting: Setting) -> Recipe:
        """What one of its settings trains."""
        return turn(recipe_named(self.base), {**self.shared, **setting.changes})

    def is_answer(self, text: str) -> bool:
        """Whether a text answers the question: one of the options, or a number from 0 to 100 where there are none."""
        if self.options:
            return text in self.options
        return text.isascii() and text.replace(".", "", 1).isdecimal() and float(text) <= 100


def does(plan: Plan, recipe: Recipe) -> bool:
    """Whether a plan trains a recipe, with whatever seed and on whatever device."""
    return _bare(plan.recipe) == _bare(recipe)


def _bare(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, name="", seed=0, reference="")


def images(recipes: Iterable[Recipe]) -> int:
    """How many images the trainings go through altogether: what their time goes by."""
    return sum(
        round(DATA_SETS[recipe.data].train_size * recipe.share * (1 - recipe.validation)) * recipe.epochs
        for recipe in recipes
    )


_ALL = (
    Exercise(
        "pooling", "Max for average pooling",
        "The same network is trained twice on 3,600 digits: once each window of four is replaced by its mean, once by "
        "its largest value. Which reads more of the 1,000 test digits?",
        "A feature map says how well a stroke fits at each place. Which survives better at half the size: how well "
        "it fits on average, or that it fits somewhere?",
        "Max pooling: 93.4 to 95.0 % over three seeds, against 90.2 to 93.8 %. One run on 1,000 test digits is only "
        "good for ±1.4 points, so train further seeds before you believe a smaller gap.",
        options=("average pooling", "max pooling", "no difference that one run can show"),
        settings=(Setting("average", {"pooling": "average"}), Setting("max", {"pooling": "max"})),
    ),
    Exercise(
        "activation", "ReLU for sigmoid",
        "The textbook's LeNet with sigmoids, plain SGD at 0.1, five passes over 3,600 digits. What percentage of the "
        "test digits does it read?",
        "A sigmoid's slope is nowhere above 1/4. Four of them lie between the loss and the first layer.",
        "10 %, with every seed: it never leaves chance, which takes the book's own run four epochs of 60,000 pictures. "
        "With ReLU and all else the same, 93.0 to 94.9 %. The Train page shows why: the gradient of each layer.",
        asks="sigmoid",
        settings=(Setting("sigmoid"), Setting("ReLU", {"activation": "relu"})),
        base="lenet-d2l", shared=_TEXTBOOK,
    ),
    Exercise(
        "kernels", "Kernel sizes",
        "Both convolutions with kernels of 3 x 3, of 5 x 5, or the first with 9 x 9. Which network has the most "
        "parameters?",
        "Without padding a smaller kernel leaves larger maps. Who pays for that?",
        "3 x 3, with 81,194 against 61,706 and 62,042: its last maps have 6 x 6 pixels, and the dense layer after them "
        "needs a weight for each. It reads 92.5 to 92.6 %; 5 x 5 gives 93.4 to 95.0, 9 x 9 94.3 to 95.2.",
        options=("3 x 3", "5 x 5", "9 x 9"),
        settings=(
            Setting("3 x 3", {"kernels": "3,3", "padding": "1,0"}), Setting("5 x 5"),
            Setting("9 x 9 first", {"kernels": "9,5", "padding": "4,0"}),
        ),
    ),
    Exercise(
        "channels", "Number of channels",
        "LeNet has 6 and 16 feature maps and reads about 94 % of these digits. With only 2 and 4, what percentage?",
        "Two kernels still make two pictures of the digit, at half its size, and the dense layers are as they were.",
        "90.6 to 92.0 % with 2 and 4 maps, 94.6 to 96.4 % with 16 and 48. Eight times the maps buy some four points, "
        "and cost 174,798 parameters instead of 23,390.",
        asks="2 and 4",
        settings=(
            Setting("2 and 4", {"channels": "2,4"}), Setting("6 and 16"), Setting("16 and 48", {"channels": "16,48"}),
        ),
    ),
    Exercise(
        "convolutions", "Number of convolutions",
        "Take the second convolution with its pooling away. What happens to the number of parameters?",
        "Work out how many values the first dense layer gets: 6 maps of 14 x 14, or 16 of 5 x 5.",
        "It rises from 61,706 to 152,410: the first dense layer gets 1,176 values instead of 400. And it reads less, "
        "91.9 to 92.6 % against 93.4 to 95.0. A third convolution (32 maps) changes little: 93.7 to 95.3 %.",
        options=("it falls", "it stays about the same", "it rises"),
        settings=(
            Setting("one", {"channels": "6", "kernels": "5", "padding": "2", "pool": "2"}), Setting("two"),
            Setting("three", {"channels": "6,16,32", "kernels": "5,5,3", "padding": "2,0,1", "pool": "2,2,0"}),
        ),
    ),
    Exercise(
        "dense", "Dense layers",
        "Leave out both hidden dense layers, so that the ten answers follow straight from the second convolution. "
        "Nine tenths of the parameters are gone. What percentage of the test digits is still read?",
        "The convolutions stay. What did the dense layers add to what those had found?",
        "94.0 to 94.5 % with 6,582 parameters, next to 93.4 to 95.0 % with 61,706: as good, on so few digits. "
        "Two layers of 500 units (458,582 parameters) give 94.3 to 96.2 %.",
        asks="none",
        settings=(
            Setting("none", {"dense": ""}), Setting("84", {"dense": "84"}), Setting("120 and 84"),
            Setting("500 and 500", {"dense": "500,500"}),
        ),
    ),
    Exercise(
        "learning-rate", "Learning rate",
        "Adam with four learning rates, each ten times the one before. Which reads the fewest test digits after five "
        "passes?",
        "A step too short gets somewhere, late. What can a step too long do to a ReLU?",
        "0.1: it stays at 10 %, because its ReLUs end up below 0 for every image and pass nothing on. 0.0001 is only "
        "slow (83.8 to 85.9 %), and 0.001 and 0.01 are hard to tell apart.",
        options=("0.0001", "0.001", "0.01", "0.1"),
        settings=tuple(Setting(rate, {"learning_rate": rate}) for rate in ("0.0001", "0.001", "0.01", "0.1")),
    ),
    Exercise(
        "initialisation", "Initialisation",
        "Three ways to draw the first weights: PyTorch's ±1/√n, Xavier's ±√(6/(n + m)), and ±2.4/n as in 1998. After "
        "five passes, which network is behind?",
        "n values enter a unit: 25 in C1, 400 in the first dense layer. Put them in: which weights are the smallest?",
        "1998's: 88.6 to 91.5 %. Its weights in the first dense layer are an eighth of PyTorch's, so that little comes "
        "through at first. PyTorch's give 93.4 to 95.0 %, Xavier's, the largest, 94.7 to 96.6.",
        options=("PyTorch's", "Xavier's", "1998's"),
        settings=tuple(
            Setting(name, {"initialisation": name}) for name in ("pytorch", "xavier-uniform", "lecun")
        ),
    ),
    Exercise(
        "epochs", "Number of epochs",
        "Trained for one pass, for five, and for twenty. What percentage of the test digits does it read after twenty?",
        "After five passes it is at about 94 %. It sees the same 3,600 digits again each time.",
        "96.1 to 97.3 %, after 82.0 to 85.2 with one pass. Of the digits that it learned from it reads 99.4 % by then: "
        "the gap is what it has learned by heart. The chart shows when training and validation part.",
        asks="20",
        settings=(Setting("1", {"epochs": "1"}), Setting("5"), Setting("20", {"epochs": "20"})),
    ),
    Exercise(
        "data", "Clothes instead of digits",
        "The network that reads 94 % of the digits, trained the same way on as many pictures of clothes "
        "(Fashion-MNIST). What percentage of those does it name rightly?",
        "Shirt, T-shirt, pullover and coat are classes of their own, at 28 x 28 pixels.",
        "75.5 to 78.8 %, against 93.4 to 95.0 % of the digits. In the confusion matrix shirts are spread over "
        "T-shirts, pullovers and coats: outlines tell digits apart, but not these.",
        asks="clothes",
        settings=(
            Setting("digits"), Setting("clothes", {"data": "fashion-mnist", "share": "0.067"}),
        ),
    ),
    Exercise(
        "feature-maps", "Feature maps of both layers",
        "Show a trained network an 8. In which layer's feature maps will you still recognise the 8?",
        "C1 looks through windows of 5 x 5 pixels, C3 through what amounts to 14 x 14, at half the size.",
        "C1's six maps are six drawings of the 8, each with other strokes lit up. C3's sixteen are a few spots each: "
        "where a corner, an end or a bow was found, not what it looked like. Compare the two 8s column by column.",
        options=("in both", "in the first only", "in neither"),
        look={"net": "lenet-modern", "inputs": "8.0,8.1,4.0", "layers": "conv1,conv2"},
    ),
    Exercise(
        "strangers", "Cats, cars and noise",
        "LeNet-5 of 1998 knows ten digits and nothing else. Show it a cat, a car and noise: what does it answer?",
        "Its ten outputs are all it has. Nothing in its training ever asked it to say that a picture is no digit.",
        "It is sure: the cat is an 8 (89 %), the car a 0 and the noise an 8 (over 99 % each). The modern network "
        "beside it doubts more (the cat is a 2, with 25 %), yet calls an empty picture a 1 with 87 %. Neither can say "
        "that it is none of the ten.",
        options=("about 10 % for each digit", "one digit, and it is sure of it", "one digit, with much doubt"),
        look={
            "net": "lenet5-1998", "beside": "lenet-modern", "inputs": "8.0,cat.0,car.0,uniform.0,blank",
            "layers": "conv1,output",
        },
    ),
)  # fmt: skip

EXERCISES: dict[str, Exercise] = {exercise.key: exercise for exercise in _ALL}
