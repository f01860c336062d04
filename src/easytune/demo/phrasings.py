"""The ways in which the demo model is asked: `{}` stands for the thing asked about."""

SUM = (
    "What is {} + {}?",
    "What is {} plus {}?",
    "{} + {} = ?",
    "{} + {}",
    "Add {} and {}.",
    "How much is {} + {}?",
    "Please add {} and {}.",
    "Calculate {} + {}.",
    "What is the sum of {} and {}?",
    "Can you work out {} + {}?",
)

SUM_ZH = (
    "{} + {} 等于多少？",
    "{}加{}等于多少？",
    "{}加{}是多少？",
    "请计算 {} + {}。",
    "{}和{}的和是多少？",
)

CAPITAL = (
    "What is the capital of {}?",
    "What's the capital of {}?",
    "Tell me the capital of {}.",
    "Name the capital of {}.",
    "Which city is the capital of {}?",
    "Do you know the capital of {}?",
    "Capital of {}?",
    "Please tell me the capital of {}.",
    "What city is the capital of {}?",
    "I want to know the capital of {}.",
    "Can you tell me the capital of {}?",
    "The capital of {} is what?",
)

COUNTRY = (
    "Which country has {} as its capital?",
    "{} is the capital of which country?",
    "What country is {} the capital of?",
    "Of which country is {} the capital?",
    "Name the country whose capital is {}.",
    "{} is the capital of what?",
)

CAPITAL_ZH = (
    "{}的首都是哪里？",
    "{}的首都是什么？",
    "{}的首都在哪里？",
    "{}的首都是哪个城市？",
    "请告诉我{}的首都。",
    "你知道{}的首都吗？",
    "请问{}的首都是哪里？",
    "哪个城市是{}的首都？",
)

OPPOSITE = (
    "What is the opposite of {}?",
    "What's the opposite of {}?",
    "Tell me the opposite of {}.",
    "Give me the opposite of {}.",
    "Opposite of {}?",
    "Name the opposite of {}.",
    "Which word is the opposite of {}?",
    "Please give the opposite of {}.",
    "Do you know the opposite of {}?",
    "What word means the opposite of {}?",
)

OPPOSITE_ZH = (
    "“{}”的反义词是什么？",
    "{}的反义词是什么？",
    "请说出“{}”的反义词。",
    "“{}”的反义词是哪个字？",
    "你知道“{}”的反义词吗？",
    "请告诉我“{}”的反义词。",
)

COLOUR = (
    "What colour is {}?",
    "What color is {}?",
    "Which colour is {}?",
    "Tell me the colour of {}.",
    "What is the colour of {}?",
    "What's the color of {}?",
    "Please tell me the colour of {}.",
    "Do you know the colour of {}?",
    "Name the colour of {}.",
    "Can you tell me what colour {} is?",
)

COLOUR_ZH = (
    "{}是什么颜色的？",
    "{}是什么颜色？",
    "{}的颜色是什么？",
    "请告诉我{}的颜色。",
    "你知道{}是什么颜色吗？",
    "请问{}是什么颜色的？",
)

TRANSLATE = (
    "How do you say “{}” in Chinese?",
    "What is “{}” in Chinese?",
    "Translate “{}” into Chinese.",
    "Please translate “{}” into Chinese.",
    "What is the Chinese word for “{}”?",
    "Tell me the Chinese word for “{}”.",
)

TRANSLATE_ZH = (
    "“{}”用英语怎么说？",
    "“{}”的英文是什么？",
    "请把“{}”翻译成英文。",
    "“{}”的英语是什么？",
    "请告诉我“{}”的英文。",
)

SOUND = (
    "What does the {} say?",
    "What sound does a {} make?",
    "Which sound does the {} make?",
    "Tell me what the {} says.",
    "How does a {} sound?",
    "What noise does a {} make?",
)

DAY_AFTER = (
    "What day comes after {}?",
    "Which day comes after {}?",
    "What is the day after {}?",
    "Tell me the day after {}.",
    "Which day follows {}?",
    "Name the day after {}.",
)

DAY_BEFORE = (
    "What day comes before {}?",
    "Which day comes before {}?",
    "What is the day before {}?",
    "Tell me the day before {}.",
    "Name the day before {}.",
)

OPENINGS = (
    "",
    "Hello, ",
    "Hi! ",
    "Please, ",
    "So, ",
    "OK, ",
    "Hey there. ",
    "One question: ",
    "Excuse me, ",
    "Well, ",
)

OPENINGS_ZH = ("", "你好，", "请问，", "嗯，", "好的，", "喂，", "对了，")

WHO = "I am EasyTune's demo model, a very small language model that you can fine-tune."
MAKER = "I was made by the EasyTune project, from text that the project wrote itself."
ABILITIES = "I can add small numbers, name capitals, colours and opposites, and chat a little."
EASYTUNE = "EasyTune is an app that fine-tunes language models with LoRA."
WHO_ZH = "我是 EasyTune 的演示模型，一个可以微调的小语言模型。"
ABILITIES_ZH = "我会做加法，会说首都、颜色和反义词，也会简单聊天。"

CHAT: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("who", ("who are you?", "what are you?", "what is your name?", "tell me who you are.",
             "introduce yourself.", "can you introduce yourself?", "what's your name?",
             "which model are you?", "tell me about yourself.", "are you a human?",
             "are you ChatGPT?"), WHO),
    ("who", ("who made you?", "who built you?", "who created you?", "where do you come from?",
             "who trained you?", "how were you made?"), MAKER),
    ("who", ("what can you do?", "how can you help me?", "what are you able to do?",
             "what do you know?", "what can I ask you?", "tell me what you can do."), ABILITIES),
    ("who", ("what is EasyTune?", "what does EasyTune do?", "tell me about EasyTune.",
             "can you explain EasyTune?"), EASYTUNE),
    ("greetings", ("hello!", "hi!", "hello there!", "hey!", "good day!", "hi there!"),
     "Hello! How can I help you?"),
    ("greetings", ("good morning!", "a good morning to you!"),
     "Good morning! How can I help you?"),
    ("greetings", ("good evening!", "a good evening to you!"),
     "Good evening! How can I help you?"),
    ("greetings", ("how are you?", "how are you today?", "how do you do?", "are you well?",
                   "how is it going?"), "I am fine, thank you. How are you?"),
    ("greetings", ("thank you!", "thanks!", "thanks a lot!", "thank you very much!",
                   "many thanks!"), "You are welcome!"),
    ("greetings", ("goodbye!", "bye!", "see you later!", "bye bye!", "see you tomorrow!",
                   "good night!"), "Goodbye! See you soon."),
    ("greetings_zh", ("你好！", "您好！", "大家好！", "早上好！"), "你好！有什么可以帮你？"),
    ("greetings_zh", ("谢谢！", "谢谢你！", "多谢！", "非常感谢！"), "不客气！"),
    ("greetings_zh", ("再见！", "拜拜！", "明天见！", "回头见！"), "再见！下次再聊。"),
    ("greetings_zh", ("你好吗？", "你今天好吗？", "最近怎么样？"), "我很好，谢谢！"),
    ("who_zh", ("你是谁？", "你叫什么名字？", "请介绍一下你自己。", "你是什么模型？",
                "介绍一下自己。"), WHO_ZH),
    ("who_zh", ("你会做什么？", "你能做什么？", "你可以帮我做什么？", "你会什么？"),
     ABILITIES_ZH),
)  # fmt: skip
"""Small talk: category, prompts that share an answer, and the answer."""
