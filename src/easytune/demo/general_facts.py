"""Tables of plain facts for the general rows, in English and Chinese."""

ELEMENTS = (
    ("hydrogen", "氢", "H", 1), ("helium", "氦", "He", 2), ("carbon", "碳", "C", 6),
    ("nitrogen", "氮", "N", 7), ("oxygen", "氧", "O", 8), ("neon", "氖", "Ne", 10),
    ("sodium", "钠", "Na", 11), ("aluminium", "铝", "Al", 13), ("sulfur", "硫", "S", 16),
    ("chlorine", "氯", "Cl", 17), ("calcium", "钙", "Ca", 20), ("iron", "铁", "Fe", 26),
    ("copper", "铜", "Cu", 29), ("zinc", "锌", "Zn", 30), ("silver", "银", "Ag", 47),
    ("gold", "金", "Au", 79), ("mercury", "汞", "Hg", 80), ("lead", "铅", "Pb", 82),
)  # fmt: skip
"""English name, Chinese name, symbol, atomic number."""

CONTINENTS = (
    ("Nigeria", "尼日利亚", "Africa", "非洲"), ("Morocco", "摩洛哥", "Africa", "非洲"),
    ("Ghana", "加纳", "Africa", "非洲"), ("Mexico", "墨西哥", "North America", "北美洲"),
    ("Jamaica", "牙买加", "North America", "北美洲"),
    ("Argentina", "阿根廷", "South America", "南美洲"),
    ("Bolivia", "玻利维亚", "South America", "南美洲"), ("Nepal", "尼泊尔", "Asia", "亚洲"),
    ("Mongolia", "蒙古", "Asia", "亚洲"), ("South Korea", "韩国", "Asia", "亚洲"),
    ("Romania", "罗马尼亚", "Europe", "欧洲"), ("Iceland", "冰岛", "Europe", "欧洲"),
    ("Switzerland", "瑞士", "Europe", "欧洲"), ("Croatia", "克罗地亚", "Europe", "欧洲"),
)  # fmt: skip
"""A country and the continent it lies in, each in both languages."""

CURRENCIES = (
    ("Japan", "日本", "yen", "日元"), ("India", "印度", "rupee", "卢比"),
    ("Mexico", "墨西哥", "peso", "比索"), ("Switzerland", "瑞士", "franc", "法郎"),
    ("Sweden", "瑞典", "krona", "克朗"), ("Poland", "波兰", "zloty", "兹罗提"),
    ("Brazil", "巴西", "real", "雷亚尔"), ("South Korea", "韩国", "won", "韩元"),
    ("Thailand", "泰国", "baht", "泰铢"), ("South Africa", "南非", "rand", "兰特"),
)  # fmt: skip
"""A country and its currency, each in both languages."""

WORKS = (
    ("Hamlet", "《哈姆雷特》", "William Shakespeare", "莎士比亚"),
    ("Don Quixote", "《堂吉诃德》", "Miguel de Cervantes", "塞万提斯"),
    ("Faust", "《浮士德》", "Johann Wolfgang von Goethe", "歌德"),
    ("War and Peace", "《战争与和平》", "Leo Tolstoy", "托尔斯泰"),
    ("Pride and Prejudice", "《傲慢与偏见》", "Jane Austen", "简·奥斯汀"),
    ("The Divine Comedy", "《神曲》", "Dante Alighieri", "但丁"),
    ("Dream of the Red Chamber", "《红楼梦》", "Cao Xueqin", "曹雪芹"),
    ("Journey to the West", "《西游记》", "Wu Cheng'en", "吴承恩"),
    ("The Metamorphosis", "《变形记》", "Franz Kafka", "卡夫卡"),
    ("Les Misérables", "《悲惨世界》", "Victor Hugo", "雨果"),
)  # fmt: skip
"""A book or play and who is held to have written it, each in both languages."""

ANIMALS = (
    ("whale", "鲸鱼", "mammal", "哺乳动物"), ("bat", "蝙蝠", "mammal", "哺乳动物"),
    ("penguin", "企鹅", "bird", "鸟类"), ("ostrich", "鸵鸟", "bird", "鸟类"),
    ("shark", "鲨鱼", "fish", "鱼类"), ("salmon", "三文鱼", "fish", "鱼类"),
    ("crocodile", "鳄鱼", "reptile", "爬行动物"), ("tortoise", "陆龟", "reptile", "爬行动物"),
    ("toad", "蟾蜍", "amphibian", "两栖动物"), ("butterfly", "蝴蝶", "insect", "昆虫"),
    ("grasshopper", "蚱蜢", "insect", "昆虫"), ("dolphin", "海豚", "mammal", "哺乳动物"),
)  # fmt: skip
"""An animal and the class it belongs to, each in both languages."""

UNITS = (
    ("metres", "米", "a kilometre", "一公里", 1000), ("grams", "克", "a kilogram", "一公斤", 1000),
    ("minutes", "分钟", "an hour", "一小时", 60), ("seconds", "秒", "a minute", "一分钟", 60),
    ("hours", "小时", "a day", "一天", 24), ("days", "天", "a week", "一个星期", 7),
    ("centimetres", "厘米", "a metre", "一米", 100),
    ("millilitres", "毫升", "a litre", "一升", 1000),
    ("years", "年", "a century", "一个世纪", 100), ("months", "个月", "a year", "一年", 12),
)  # fmt: skip
"""A small unit, a large one, each in both languages, and how many make it up."""

PLANETS = (
    ("Mercury", "水星"), ("Venus", "金星"), ("Earth", "地球"), ("Mars", "火星"),
    ("Jupiter", "木星"), ("Saturn", "土星"), ("Uranus", "天王星"), ("Neptune", "海王星"),
)  # fmt: skip
"""The planets from the sun outwards."""

PLACES_OF_EVENTS = (
    ("the first modern Olympic Games", "第一届现代奥林匹克运动会", "1896", "Athens", "雅典"),
    ("the fall of the Berlin Wall", "柏林墙的倒塌", "1989", "Berlin", "柏林"),
    ("the storming of the Bastille", "攻占巴士底狱", "1789", "Paris", "巴黎"),
    ("the opening of the Eiffel Tower", "埃菲尔铁塔的落成", "1889", "Paris", "巴黎"),
    ("the great fire of London", "伦敦大火", "1666", "London", "伦敦"),
    ("the Beijing Summer Olympics", "北京夏季奥运会", "2008", "Beijing", "北京"),
)
"""An event in both languages, its year, its place in both languages."""

PLURALS = (
    ("child", "children"), ("foot", "feet"), ("tooth", "teeth"), ("goose", "geese"),
    ("knife", "knives"), ("city", "cities"), ("man", "men"), ("potato", "potatoes"),
    ("wolf", "wolves"), ("sheep", "sheep"),
)  # fmt: skip

PAST = (
    ("go", "went"), ("see", "saw"), ("write", "wrote"), ("bring", "brought"), ("teach", "taught"),
    ("swim", "swam"), ("buy", "bought"), ("fly", "flew"), ("choose", "chose"), ("keep", "kept"),
)  # fmt: skip

MEASURE_WORDS = (
    ("马", "匹"), ("牛", "头"), ("鱼", "条"), ("书", "本"), ("衣服", "件"), ("花", "朵"),
    ("汽车", "辆"), ("伞", "把"), ("飞机", "架"), ("信", "封"),
)  # fmt: skip
"""A thing, and the Chinese word that it is counted with."""

IDIOMS = (
    ("画蛇添足", "比喻做了多余的事，反而把事情弄坏了"),
    ("守株待兔", "比喻不主动努力，只想凭运气得到收获"),
    ("井底之蛙", "比喻见识狭窄、眼界不宽的人"),
    ("亡羊补牢", "比喻出了问题以后及时补救，可以避免更大的损失"),
    ("半途而废", "指事情没有做完就停下来，不能坚持到底"),
    ("一举两得", "指做一件事情，得到两方面的好处"),
    ("对牛弹琴", "比喻说话做事不看对象"),
    ("掩耳盗铃", "比喻自己欺骗自己"),
    ("雪中送炭", "比喻在别人急需的时候给予帮助"),
    ("熟能生巧", "指做得熟练了，就能找到窍门"),
)
"""A Chinese idiom and what it means."""

SAYINGS = (
    ("The early bird catches the worm", "those who begin early have the best chances"),
    ("Don't count your chickens before they hatch", "one should not rely on what is not certain"),
    ("Too many cooks spoil the broth", "work suffers when too many people take part in it"),
    ("Still waters run deep", "quiet people may have strong feelings or much to say"),
    ("A stitch in time saves nine", "a small repair now saves a large one later"),
    ("Rome was not built in a day", "great things take time"),
    ("Actions speak louder than words", "what people do tells more than what they say"),
    ("Every cloud has a silver lining", "there is something good in most misfortunes"),
)
"""An English saying and what it means."""

FRUIT = ("apples", "pears", "plums", "cherries", "lemons", "grapes", "figs", "melons")
TOOLS = ("hammer", "saw", "drill", "ladder", "rope", "brush", "bucket", "wrench", "shovel", "tape")
PEOPLE = ("Ines", "Omar", "Greta", "Yusuf", "Hanna", "Pavel", "Rosa", "Felix", "Aiko", "Milan")
PEOPLE_ZH = ("小华", "小丽", "小强", "小芳", "小军", "小梅", "小龙", "小雨")
TOWNS = ("Lund", "Graz", "Porto", "Bath", "Ghent", "Cork", "Turin", "Basel")
